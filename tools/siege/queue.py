"""A fake Cloud Tasks that accepts each task and never delivers it, so queued requests stay pending."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@contextmanager
def accepting_queue() -> Iterator[str]:
    """Yield the host and port of the queue. Like Cloud Tasks, it refuses a task whose name it knows."""
    names: set[str] = set()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            task = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["task"]
            is_known = task["name"] in names
            names.add(task["name"])
            answer = json.dumps({"task": {"name": "/task"}}).encode()
            self.send_response(409 if is_known else 200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: object) -> None:
            """Log nothing."""

    class Queue(ThreadingHTTPServer):
        daemon_threads = True

    with Queue(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()
