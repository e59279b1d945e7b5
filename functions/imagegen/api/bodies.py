"""Reads the bodies of requests within limits of size and time, before anything else reads them."""

import io
import socket
import threading
import time
from contextlib import suppress

from flask import Request

BYTES_MAX = 64 * 1024
"""Far more than the longest valid request has."""
SECONDS_MAX = 10.0
"""The time in which a body must arrive. Until then, it holds one of the instance's threads."""
DROPPED_BYTES_MAX = 32 * 1024 * 1024
"""The most that is read of a body that is too long. Cloud Run accepts no longer body over HTTP/1."""

_CHUNK_BYTES = 16 * 1024
_POLL_SECONDS = 0.5
_PROBLEM = "imagegen.body_problem"


class Deadlines:
    """Ends reading from sockets that are late.

    A timeout of the socket cannot do this, because it starts again with each byte. One thread serves all requests:
    starting a thread for each would cost more than reading the body.
    """

    def __init__(self, seconds: float = SECONDS_MAX) -> None:
        self._seconds = seconds
        self._lock = threading.Lock()
        self._due: dict[socket.socket, float] = {}
        self._thread: threading.Thread | None = None

    def start(self, connection: socket.socket) -> None:
        """Give the connection its time from now on."""
        with self._lock:
            self._due[connection] = time.monotonic() + self._seconds
            if self._thread is None:  # not before the first request: a thread does not survive the server's fork
                self._thread = threading.Thread(target=self._watch, name="body-deadlines", daemon=True)
                self._thread.start()

    def stop(self, connection: socket.socket) -> bool:
        """Return whether the connection was in time."""
        with self._lock:
            return self._due.pop(connection, None) is not None

    def _watch(self) -> None:
        while True:
            time.sleep(_POLL_SECONDS)
            with self._lock:
                for connection in [late for late, due in self._due.items() if due < time.monotonic()]:
                    del self._due[connection]
                    end_reading(connection)


_deadlines = Deadlines()


def end_reading(connection: socket.socket) -> None:
    """Let every further read of the connection return nothing. An answer can still be sent."""
    with suppress(OSError):  # the client has gone
        connection.shutdown(socket.SHUT_RD)


def read(request: Request, bytes_max: int = BYTES_MAX) -> None:
    """Replace the request's stream by the body, as far as it is kept. ``problem_of`` tells if it is not whole.

    Of a body that is too long, one byte more than ``bytes_max`` is kept. The rest is dropped in pieces as it arrives: a
    client that is still sending would not see the answer.
    """
    connection: socket.socket | None = request.environ.get("gunicorn.socket")
    if connection is not None:
        _deadlines.start(connection)
    kept, size = io.BytesIO(), 0
    try:
        while size <= DROPPED_BYTES_MAX and (chunk := request.stream.read(_CHUNK_BYTES)):
            kept.write(chunk[: max(bytes_max + 1 - size, 0)])
            size += len(chunk)
    finally:
        in_time = connection is None or _deadlines.stop(connection)
    if size > DROPPED_BYTES_MAX and connection is not None:
        end_reading(connection)
    kept.seek(0)
    request.stream = kept
    if not in_time:
        request.environ[_PROBLEM] = f"must arrive within {SECONDS_MAX:g} s"
    elif size > bytes_max:
        request.environ[_PROBLEM] = f"must have at most {bytes_max} bytes"


def problem_of(request: Request) -> str | None:
    """Return why the body that was read is not whole, or None."""
    return request.environ.get(_PROBLEM)
