"""Local HTTP servers that hang."""

import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

DRIP_SECONDS = 0.02


class HangingServer:
    """A server that accepts every connection and never completes an answer. ``reached`` counts the connections.

    With ``drips``, it sends the header of its answer byte by byte, so that no timeout for a single read ends the call.
    """

    def __init__(self, listener: socket.socket, *, drips: bool = False) -> None:
        self._listener = listener
        self._drips = drips
        self._lock = threading.Lock()
        self._is_closed = False
        self._open = ExitStack()
        self.reached = 0
        self.host = f"127.0.0.1:{listener.getsockname()[1]}"

    def accept(self) -> None:
        with suppress(OSError):  # closed
            while True:
                connection, _ = self._listener.accept()
                with self._lock:
                    if self._is_closed:
                        connection.close()
                        return
                    self._open.enter_context(connection)
                    self.reached += 1
                if self._drips:
                    threading.Thread(target=_drip, args=(connection,), daemon=True).start()

    def close(self) -> None:
        """Break all connections, as if the server had restarted."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # ends accept
        self._listener.close()
        with self._lock:
            self._is_closed = True
            self._open.close()


def _drip(connection: socket.socket) -> None:
    pause = threading.Event()
    with suppress(OSError):  # closed
        connection.sendall(b"HTTP/1.1 200 OK\r\nx-drip: ")
        while not pause.wait(DRIP_SECONDS):
            connection.sendall(b"x")


@contextmanager
def hanging_server(*, drips: bool = False) -> Iterator[HangingServer]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = HangingServer(listener, drips=drips)
        threading.Thread(target=server.accept, daemon=True).start()
        yield server
        server.close()
