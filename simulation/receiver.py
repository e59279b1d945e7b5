"""A fake receiver of webhooks on the virtual clock, with every outcome that a real one can have."""

import random
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus

from imagegen.ports.webhook_sender import Answer, Unreachable
from simulation.faults import Faults

SLOW_SECONDS = 19.5
"""Just below the timeout of the real sender."""

REFUSAL_CODES = (HTTPStatus.INTERNAL_SERVER_ERROR, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GONE)


@dataclass
class SentEvent:
    """An event that was sent, whether the receiver accepted it, and the status code that the sender received, if any.

    ``ended_us`` is None if the sender died.
    """

    body: str
    headers: Mapping[str, str]
    began_us: int
    ended_us: int | None = None
    is_accepted: bool = False
    status_code: int | None = None
    retry_after_seconds: int | None = None

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def at(self) -> int:
        """The time of its signature, in seconds since 1970."""
        return int(self.headers["webhook-timestamp"])


class SimulatedReceiver:
    """Accepts events immediately or slowly, loses its answer, refuses events, or cannot be reached.

    Each seed has its own weights. In one seed in ten, the receiver can never be reached.
    """

    def __init__(self, faults: Faults, rng: random.Random) -> None:
        self._faults = faults
        self._rng = rng
        self.sent: list[SentEvent] = []
        """All events that were sent, including events that were refused or did not arrive."""
        weights = [rng.choice((0.0, 0.0, 1.0, 5.0)) for _ in range(4)]
        self._weights = [5.0, *weights] if rng.random() < 0.9 else [0.0, 0.0, 0.0, 0.0, 1.0]

    def send(self, url: str, body: str, headers: Mapping[str, str]) -> Answer:
        sent = SentEvent(body, headers, self._faults.scheduler.now_us)
        self.sent.append(sent)
        try:
            return self._answer(sent)
        finally:
            sent.ended_us = self._faults.scheduler.now_us

    def _answer(self, sent: SentEvent) -> Answer:
        [outcome] = self._rng.choices(("accepted", "slow", "answer lost", "refused", "unreachable"), self._weights)
        self._faults.scheduler.note(f"webhook: {outcome}")
        self._faults.step(self._rng.uniform(0, SLOW_SECONDS if outcome == "slow" else 0.1))
        if outcome == "unreachable":
            raise Unreachable("no connection")
        sent.is_accepted = outcome != "refused"
        self._faults.step(self._rng.choice((0.0, 0.1)))
        if outcome == "answer lost":
            raise Unreachable("no answer")
        sent.status_code = HTTPStatus.OK if sent.is_accepted else self._rng.choice(REFUSAL_CODES)
        if sent.status_code == HTTPStatus.SERVICE_UNAVAILABLE:
            sent.retry_after_seconds = self._rng.choice((None, 5, 900, 10**9))
        return Answer(sent.status_code, None if sent.retry_after_seconds is None else str(sent.retry_after_seconds))
