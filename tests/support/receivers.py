"""Receivers of webhooks on this machine, over real HTTP and HTTPS."""

import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any

import pytest
from standardwebhooks import Webhook, webhooks


@dataclass
class Received:
    """One POST as it came in."""

    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Receiver:
    """Answers each POST with the next of ``answers``, and then with the last of them for ever."""

    answers: list[int] = field(default_factory=lambda: [204])
    received: list[Received] = field(default_factory=list)
    port: int = 0
    finish: Callable[[BaseHTTPRequestHandler], None] = lambda _handler: None
    """Sends what follows the status line."""

    def url(self, path: str = "/hook", host: str = "127.0.0.1", scheme: str = "http") -> str:
        return f"{scheme}://{host}:{self.port}{path}"


@contextmanager
def receiving(receiver: Receiver, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None) -> Iterator[Receiver]:
    """The receiver at work, on a free port."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            receiver.received.append(Received(self.path, headers, body))
            self.send_response(receiver.answers.pop(0) if len(receiver.answers) > 1 else receiver.answers[0])
            receiver.finish(self)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Nobody reads it."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: object, client_address: object) -> None:
            """Clients that break off are what some tests are about."""

    with Server((host, receiver.port), Handler) as server:
        if tls is not None:
            # The handshake is made by the thread that serves the request, so that one that fails blocks nobody.
            server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        receiver.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield receiver
        finally:
            server.shutdown()
            thread.join()


def verified(secret: str, body: str | bytes, headers: dict[str, str], now: datetime) -> Any:
    """Return a webhook's event, verified by the library of a receiver whose clock shows ``now``."""
    with pytest.MonkeyPatch.context() as library:
        clock = SimpleNamespace(now=now.astimezone, fromtimestamp=datetime.fromtimestamp)
        library.setattr(webhooks, "datetime", clock)
        return Webhook(secret).verify(body, headers)
