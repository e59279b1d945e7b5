"""A receiver that takes every webhook, for seeds and tests that are about something else."""

from collections.abc import Mapping


class Takes:
    def send(self, url: str, body: str, headers: Mapping[str, str]) -> int:
        return 200
