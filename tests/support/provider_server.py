"""A local HTTP server with the API of a provider, for our adapters and for the providers' own SDKs."""

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from imagegen.ports.image_generator import Job

JOB = Job(
    request_id="id",
    model="Model",
    provider_model="model-1",
    provider_options={},
    prompt="a lighthouse",
    provider_prompt="a lighthouse. Style: anime. Colors: neon.",
    input=None,
    style="anime",
    color="neon",
    size="1024x1792",
    width=1024,
    height=1792,
    timeout_seconds=5,
    max_attempts=1,
    seed=7,
)


@dataclass
class ProviderServer:
    """Gives every request the same answer. ``body`` is JSON, or text that is sent as it is. None never answers."""

    url: str = ""
    status: int = 200
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    requests: list[tuple[str, Mapping[str, str], Any]] = field(default_factory=list)
    """The path, the headers in lower case, and the JSON of each request."""
    stopped: threading.Event = field(default_factory=threading.Event)

    def answers(self, status: int, body: Any, **headers: str) -> None:
        self.status, self.body, self.headers = status, body, headers


@contextmanager
def provider_server() -> Iterator[ProviderServer]:
    provider = ProviderServer()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            content = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            provider.requests.append((self.path, headers, json.loads(content)))
            if provider.body is None:
                provider.stopped.wait(30)
                return
            body = provider.body if isinstance(provider.body, str) else json.dumps(provider.body)
            self.send_response(provider.status)
            for name, value in {"Content-Type": "application/json", **provider.headers}.items():
                self.send_header(name.replace("_", "-"), value)
            self.send_header("Content-Length", str(len(body.encode())))
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, format: str, *arguments: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    provider.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield provider
    finally:
        provider.stopped.set()
        server.shutdown()
        server.server_close()
        thread.join()
