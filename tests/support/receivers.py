"""Local receivers of webhooks, over real HTTP and HTTPS."""

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
    """A received POST request."""

    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Receiver:
    """Answers each POST with the next of ``answers``, and repeats the last one indefinitely."""

    answers: list[int] = field(default_factory=lambda: [204])
    received: list[Received] = field(default_factory=list)
    port: int = 0
    finish: Callable[[BaseHTTPRequestHandler], None] = lambda _handler: None
    """Is called after the status line is sent, for example to send headers."""

    def url(self, path: str = "/hook", host: str = "127.0.0.1", scheme: str = "http") -> str:
        return f"{scheme}://{host}:{self.port}{path}"


@contextmanager
def receiving(receiver: Receiver, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None) -> Iterator[Receiver]:
    """Run the receiver on its port, or on a free one."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            receiver.received.append(Received(self.path, headers, body))
            self.send_response(receiver.answers.pop(0) if len(receiver.answers) > 1 else receiver.answers[0])
            receiver.finish(self)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Log nothing."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: object, client_address: object) -> None:
            """Ignore errors, since some tests break the connection on purpose."""

    with Server((host, receiver.port), Handler) as server:
        if tls is not None:
            # Each request's own thread makes the handshake, so that a failing handshake does not block the server.
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
