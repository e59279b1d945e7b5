"""Saves the response to each idempotency key for a day."""

import json
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

from tools.stripe_emulator.clock import MovableClock
from tools.stripe_emulator.errors import IdempotencyMismatch, InvalidRequest

KEY_LENGTH_MAX = 255
SAVED_SECONDS = 86_400
SAVED_MAX = 10_000


@dataclass(frozen=True)
class Response:
    status: int
    body: bytes


class SavedResponses:
    """The responses by key. The methods are called while the account is locked."""

    def __init__(self, clock: MovableClock) -> None:
        self._clock = clock
        self._saved: OrderedDict[str, tuple[str, float, Response]] = OrderedDict()

    def get(self, key: str, path: str, parameters: dict[str, Any]) -> Response | None:
        """Return the response that was saved for the key. Raises IdempotencyMismatch if that was another call."""
        if not 0 < len(key) <= KEY_LENGTH_MAX:
            raise InvalidRequest(f"Idempotency keys must have 1 to {KEY_LENGTH_MAX} characters.")
        if key not in self._saved:
            return None
        call, saved_at, response = self._saved[key]
        if saved_at <= self._clock.now() - SAVED_SECONDS:
            return None
        if call != _fingerprint(path, parameters):
            raise IdempotencyMismatch(
                "Keys for idempotent requests can only be used with the same parameters they were first used with. "
                f"Try using a key other than '{key}' if you meant to execute a different request."
            )
        return response

    def save(self, key: str, path: str, parameters: dict[str, Any], response: Response) -> None:
        self._saved[key] = (_fingerprint(path, parameters), self._clock.now(), response)
        self._saved.move_to_end(key)
        if len(self._saved) > SAVED_MAX:
            self._saved.popitem(last=False)


def _fingerprint(path: str, parameters: dict[str, Any]) -> str:
    return json.dumps([path, parameters], sort_keys=True)
