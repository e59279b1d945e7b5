"""Tests of the adapter of Cloud Storage against a local server with preconditions, which the emulator ignores."""

import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest

from imagegen.adapters import cloud_storage
from imagegen.adapters.cloud_storage import CloudStorage
from imagegen.ports.object_store import ObjectStoreUnavailable

PATH = "images/user/request/image.webp"


class Server:
    """A bucket with one file. An upload whose token is in ``held`` is applied when its event is set."""

    def __init__(self) -> None:
        self.url = ""
        self.content = b"content"
        self.tokens = "first"
        self.generation = 1
        self.headers: dict[str, str] = {}
        self.held: dict[str, threading.Event] = {}
        self.applied = threading.Semaphore(0)

    def upload(self, query: dict[str, list[str]], body: bytes) -> int:
        [tokens] = re.findall('"firebaseStorageDownloadTokens": "(.*?)"', body.decode("latin-1"))
        if tokens in self.held:
            self.held[tokens].wait(30)
        [expected] = query.get("ifGenerationMatch", [str(self.generation)])
        status = 200 if int(expected) == self.generation else 412
        if status == 200:
            self.tokens, self.generation = tokens, self.generation + 1
        self.applied.release()
        return status


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    state = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(state.content)))
            self.send_header("X-Goog-Generation", str(state.generation))
            for header in state.headers.items():
                self.send_header(*header)
            self.end_headers()
            self.wfile.write(state.content)

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            status = state.upload(parse_qs(urlsplit(self.path).query), body)
            answer = json.dumps({"name": PATH, "generation": str(state.generation)}).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        http.daemon_threads = True
        http.block_on_close = False
        state.url = f"http://127.0.0.1:{http.server_port}"
        threading.Thread(target=http.serve_forever, args=(0.01,), daemon=True).start()
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", state.url)
        monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "demo-imagegen")
        yield state
        http.shutdown()


@pytest.fixture
def store(server: Server) -> CloudStorage:
    return CloudStorage("bucket", server.url)


def test_late_change_of_the_tokens_does_not_undo_a_later_one(
    server: Server, store: CloudStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.held["first,second"] = threading.Event()
    with monkeypatch.context() as impatient:
        impatient.setattr(cloud_storage, "CALL_SECONDS", 0.2)
        with pytest.raises(ObjectStoreUnavailable):
            store.permit(PATH, "first", "second")
    store.permit(PATH, "first", "third")
    assert server.applied.acquire(timeout=5)
    server.held["first,second"].set()
    assert server.applied.acquire(timeout=5)
    assert server.tokens == "first,third"


def test_every_error_of_the_client_leaves_the_store_unavailable(server: Server, store: CloudStorage) -> None:
    server.headers["X-Goog-Hash"] = (
        "crc32c=AAAAAA=="  # of another content, for which the client has an error of its own
    )
    with pytest.raises(ObjectStoreUnavailable, match=r"DataCorruption\.$"):  # without the client's message
        store.permit(PATH, "second")
    assert server.tokens == "first"


def test_without_a_bucket_the_store_is_unavailable() -> None:
    store = CloudStorage(None, "https://storage.example.com")
    with pytest.raises(ObjectStoreUnavailable):
        store.put(PATH, b"content", "token", "image/webp")
    assert store.delete("images/user/request")
