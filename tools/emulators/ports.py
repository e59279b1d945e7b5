"""Finds free loopback ports."""

from __future__ import annotations

import random
import socket
from dataclasses import dataclass

# Below the ports of outgoing connections (from 32768 on Linux). Otherwise, an outgoing connection
# could take a free port before the server starts.
_CANDIDATES = range(20_000, 32_000)


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

    def __str__(self) -> str:
        return f"{self.host}:{self.number}"


def free_ports(count: int) -> list[int]:
    """Return ``count`` different loopback ports on which nothing listens."""
    ports: list[int] = []
    for number in random.sample(_CANDIDATES, len(_CANDIDATES)):
        if len(ports) == count:
            break
        if Port("any", "127.0.0.1", number).is_free():
            ports.append(number)
    return ports
