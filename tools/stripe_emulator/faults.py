"""Failures that tests order for the next calls of the API."""

import threading
from dataclasses import dataclass
from enum import StrEnum

HANGS_SECONDS_MAX = 120
FAULTS_MAX = 100


class Kind(StrEnum):
    ERROR = "error"
    """Respond with 500, which is saved for the idempotency key."""
    DROP = "drop"
    """Close the connection without a response."""
    HANG = "hang"
    """Never respond."""


@dataclass
class Fault:
    """A failure of the next ``times`` calls of a path, before or after they were applied."""

    path: str
    kind: Kind = Kind.ERROR
    applied: bool = False
    method: str = "POST"
    times: int = 1


class Faults:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._faults: list[Fault] = []
        self.stopped = threading.Event()
        """Ends the calls that hang."""

    def add(self, fault: Fault) -> None:
        with self._lock:
            if len(self._faults) >= FAULTS_MAX:
                raise ValueError(f"There can be at most {FAULTS_MAX} faults.")
            self._faults.append(fault)

    def all(self) -> list[Fault]:
        """Return the faults that are still to come."""
        with self._lock:
            return list(self._faults)

    def clear(self) -> None:
        with self._lock:
            self._faults.clear()

    def take(self, method: str, path: str) -> Fault | None:
        """Return the fault of this call, if there is one."""
        with self._lock:
            for fault in self._faults:
                if (fault.method, fault.path) == (method, path):
                    fault.times -= 1
                    if fault.times <= 0:
                        self._faults.remove(fault)
                    return fault
        return None
