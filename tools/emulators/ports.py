"""Finds free loopback ports."""

from __future__ import annotations

import os
import random
import socket
from dataclasses import dataclass

# Below the ports of outgoing connections (from 32768 on Linux). Otherwise, an outgoing connection
# could take a free port before the server starts.
_FIRST, _LAST = 20_000, 32_000
_SHARES = 16
STRIPE = "stripe"
"""The name of our emulator of Stripe, which is not one of Firebase's."""
_given: set[int] = set()


@dataclass(frozen=True)
class Port:
    """A port that an emulator listens on."""

    emulator: str
    host: str
    number: int

    def is_free(self) -> bool:
        """Return whether the emulator could listen on the port now."""
        with socket.socket() as probe:
            # Node sets this option too, so connections left from a previous run do not block the port.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((self.host, self.number))
                probe.listen(1)
            except OSError:
                return False
        return True

    @property
    def setting(self) -> str:
        """The setting that has the port, for error messages."""
        return "STRIPE_API_URL in functions/.env.local" if self.emulator == STRIPE else "the port in firebase.json"

    def __str__(self) -> str:
        return f"{self.host}:{self.number}"


def free_ports(count: int) -> list[int]:
    """Return ``count`` different loopback ports on which nothing listens, and which no earlier call returned.

    Processes that start one after the other, such as those of a test run, choose from different ports. Otherwise, two
    could choose the same port before the first of them listens on it.
    """
    candidates = range(_FIRST + os.getpid() % _SHARES, _LAST, _SHARES)
    ports: list[int] = []
    for number in random.sample(candidates, len(candidates)):
        if len(ports) == count:
            break
        if number not in _given and Port("any", "127.0.0.1", number).is_free():
            ports.append(number)
    _given.update(ports)
    return ports
