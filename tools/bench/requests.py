"""`make bench-requests`: compares the cost of a call with a bare implementation's, which makes the same round trips.

Both are served as in production, with one worker. Each pair starts both afresh, measures the first answer of each, and
then makes the same calls to each, one after the other, in turns first.
"""

import http.client
import json
import os
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from statistics import median
from typing import Any

import psutil
from google.cloud import firestore
from rich.console import Console
from rich.progress import track

from imagegen.adapters.firestore import FirestoreDatabase
from imagegen.domain.ledger import Credits
from imagegen.ports.database import Put, Write
from imagegen.services.credits.accounts import new_account
from tests.support.orders import order
from tests.support.tokens import unsigned
from tools.bench.tables import publish
from tools.emulators.firestore_emulator import FirestoreEmulator
from tools.emulators.project import ROOT
from tools.fakes import NO_LIMITS_SETTINGS
from tools.seed import history
from tools.siege.server import FUNCTIONS, Server

PAIRS = 10
CLIENTS = 8
USERS = 64
CALLS = 192
WARM_UP_CALLS = 64
START_SECONDS_MAX = 60
PAID = 1_000_000

SETTINGS = {
    # Each of the 64 users makes more calls than the rate limits allow. All checks are made all the same.
    **{name: value for name, value in NO_LIMITS_SETTINGS.items() if name != "MAX_RUNNING_REQUESTS"},
    "PYTHONDONTWRITEBYTECODE": "",  # the deployed code is compiled in advance
    "REQUIRE_AUTH": "false",
    "THREADS": str(CLIENTS),
    "WORKERS": "1",
}


@dataclass(frozen=True)
class Peer:
    """An implementation: its source, and how a user of it is written."""

    name: str
    source: Path
    writes_of: Callable[[str], Sequence[Write]]

    @property
    def project_id(self) -> str:
        return f"demo-{self.name}"


def _bare_user(user_id: str) -> Sequence[Write]:
    data = {"displayName": user_id, "createdAt": datetime.now(UTC), "credits": PAID}
    return [Put(f"users/{user_id}", data)]


def _our_user(user_id: str) -> Sequence[Write]:
    _, writes = new_account(user_id, {"displayName": user_id}, Credits(paid=PAID), datetime.now(UTC))
    return writes


BARE = Peer("bare", ROOT / "tools" / "bench" / "bare.py", _bare_user)
OURS = Peer("ours", FUNCTIONS / "main.py", _our_user)


@dataclass(frozen=True)
class Load:
    """The measurements of a number of calls: processor time of the worker, throughput and the median answer."""

    cpu_ms: float
    per_second: float
    answer_ms: float


@dataclass(frozen=True, eq=False)
class Workload:
    """Calls of a function. Their data is an order of a user with ``changes``, or only the user's id."""

    name: str
    function: str
    changes: Mapping[str, object] | None = None
    with_token: bool = False

    def calls(self, project_id: str, user_ids: Sequence[str], number: int) -> Iterator[tuple[bytes, dict[str, str]]]:
        """Yield the body and the headers of each call."""
        for call in range(number):
            user_id = user_ids[call % len(user_ids)]
            data = {"userId": user_id} if self.changes is None else order(userId=user_id, **self.changes)
            headers = {"Authorization": f"Bearer {_token(project_id, user_id)}"} if self.with_token else {}
            yield json.dumps({"data": data}).encode(), {"Content-Type": "application/json", **headers}


SYNC = Workload("mode sync", "createGenerationRequest", {})
ASYNC = Workload("mode async", "createGenerationRequest", {"mode": "async"})
CREDITS = Workload("getUserCredits", "getUserCredits")
WORKLOADS = (SYNC, ASYNC, CREDITS)
WITH_TOKENS = (
    Workload("mode sync", "createGenerationRequest", {}, with_token=True),
    Workload("getUserCredits", "getUserCredits", with_token=True),
)


def _token(project_id: str, user_id: str) -> str:
    """Return an ID token as the Auth emulator makes it."""
    now, issuer = int(time.time()), f"https://securetoken.google.com/{project_id}"
    times = {"iat": now, "auth_time": now, "exp": now + 3_600}
    return unsigned({"iss": issuer, "aud": project_id, "sub": user_id, "user_id": user_id, **times})


@dataclass(frozen=True)
class Measured:
    """The loads of one implementation in one pair, and the seconds until its first answer."""

    loads: Mapping[Workload, Load]
    first_answer_seconds: float


@dataclass(frozen=True)
class Emulated:
    """The emulators of one project: Google's of Firestore, and a fake of Firebase Auth and Cloud Tasks."""

    project_id: str
    firestore_host: str
    auth_host: str


class _Fake(BaseHTTPRequestHandler):
    """Answers look-ups of accounts, and accepts tasks without delivering them."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path.endswith("accounts:lookup"):
            [user_id] = asked["localId"]
            account = {"localId": user_id, "email": f"{user_id}@example.com", "emailVerified": True}
            answer: Mapping[str, Any] = {"users": [{**account, "validSince": "0"}]}
        else:
            answer = {"task": {"name": f"{self.path}/1"}}
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing."""


@contextmanager
def fake() -> Iterator[str]:
    """Yield the host of a fake of Firebase Auth and Cloud Tasks."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Fake)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def main(console: Console, pairs: int = PAIRS, calls: int = CALLS) -> None:
    found: dict[Peer, list[Measured]] = {BARE: [], OURS: []}
    with FirestoreEmulator() as emulator, fake() as host, tempfile.TemporaryDirectory() as directory:
        os.environ["FIRESTORE_EMULATOR_HOST"] = emulator.host
        emulated = {peer: Emulated(peer.project_id, emulator.host, host) for peer in found}
        write_catalog(emulated[OURS])
        for pair in track(range(pairs), "Pairs", console=console):
            for peer in (BARE, OURS) if pair % 2 == 0 else (OURS, BARE):
                found[peer].append(measure(peer, emulated[peer], Path(directory) / "server.log", calls))
    pair_count = f"{pairs} pairs" if pairs != 1 else "1 pair"
    columns = (f"median of {pair_count}; {CLIENTS} clients, {USERS} users", "bare", "ours", "ratio (least to most)")
    publish(console, "requests", columns, [*rows(found, WORKLOADS), first_answers(found)])
    publish(console, "requests", columns, rows(found, WITH_TOKENS), part="requests-with-tokens")


def measure(peer: Peer, emulated: Emulated, log: Path, calls: int) -> Measured:
    """Start the functions of a peer, and make all calls of all workloads."""
    loads: dict[Workload, Load] = {}
    first = 0.0
    user_ids: list[str] = []
    for function in dict.fromkeys(workload.function for workload in WORKLOADS):
        user_ids = user_ids or write_users(peer, emulated)
        with ExitStack() as stack:
            settings = {**SETTINGS, "CLOUD_TASKS_EMULATOR_HOST": emulated.auth_host}
            server = Server(function, emulated, log, settings, peer.source)
            stack.push(server)
            own = [workload for workload in (*WORKLOADS, *WITH_TOKENS) if workload.function == function]
            began = time.monotonic()
            server.start()
            answered = first_answer(server, next(own[0].calls(peer.project_id, user_ids, 1)))
            first = first or answered - began
            for workload in own:
                load(server, workload.calls(peer.project_id, user_ids, WARM_UP_CALLS))
                loads[workload] = load(server, workload.calls(peer.project_id, user_ids, calls))
    return Measured(loads, first)


def first_answer(server: Server, call: tuple[bytes, dict[str, str]]) -> float:
    """Make a call as soon as the server accepts connections. Return the time of its answer."""
    deadline = time.monotonic() + START_SECONDS_MAX
    while time.monotonic() < deadline and server.is_running:
        try:
            with closing(http.client.HTTPConnection(server.host, server.port, timeout=START_SECONDS_MAX)) as connection:
                _call(connection, *call)
                return time.monotonic()
        except ConnectionError:
            time.sleep(0.005)
    raise RuntimeError("The server did not start.")


def load(server: Server, calls: Iterator[tuple[bytes, dict[str, str]]]) -> Load:
    """Make the calls from all clients at once. Raises RuntimeError if a call fails."""
    lock, answers = threading.Lock(), list[float]()

    def work(_client: int) -> None:
        with closing(http.client.HTTPConnection(server.host, server.port, timeout=60)) as connection:
            while True:
                with lock:
                    call = next(calls, None)
                if call is None:
                    return
                began = time.monotonic()
                _call(connection, *call)
                answers.append(time.monotonic() - began)

    cpu_before, began = _worker_seconds(server), time.monotonic()
    with ThreadPoolExecutor(CLIENTS) as pool:
        list(pool.map(work, range(CLIENTS)))
    seconds, cpu = time.monotonic() - began, _worker_seconds(server) - cpu_before
    number = len(answers)
    return Load(cpu_ms=cpu / number * 1_000, per_second=number / seconds, answer_ms=median(answers) * 1_000)


def _call(connection: http.client.HTTPConnection, body: bytes, headers: Mapping[str, str]) -> None:
    connection.request("POST", "/", body, headers)
    answer = connection.getresponse()
    text = answer.read()
    if answer.status != 200:
        raise RuntimeError(f"A call was refused: {text.decode()}")


def _worker_seconds(server: Server) -> float:
    """Return the processor time that the server's worker has used."""
    [worker] = psutil.Process(server.process.pid).children()
    used = worker.cpu_times()
    return used.user + used.system


def write_catalog(emulated: Emulated) -> None:
    """Write the options that our implementation offers. Its models never fail, and answer at once."""
    writes = [
        Put(path, {**data, "failureRate": 0} if "failureRate" in data else data) for path, data in history.documents()
    ]
    _database(emulated).commit(*writes)


def write_users(peer: Peer, emulated: Emulated) -> list[str]:
    """Write new users, and return their ids."""
    user_ids = [uuid.uuid4().hex for _ in range(USERS)]
    _database(emulated).commit(*(write for user_id in user_ids for write in peer.writes_of(user_id)))
    return user_ids


def _database(emulated: Emulated) -> FirestoreDatabase:
    return FirestoreDatabase(firestore.Client(project=emulated.project_id))


def rows(found: Mapping[Peer, Sequence[Measured]], workloads: Sequence[Workload]) -> list[Sequence[str]]:
    """Return the rows of the table: three for each workload."""
    shown = []
    for workload in workloads:
        bare, ours = ([one.loads[workload] for one in found[peer]] for peer in (BARE, OURS))
        for label, of, form in FIGURES:
            shown.append(_row(f"{workload.name}: {label}", [of(one) for one in bare], [of(one) for one in ours], form))
    return shown


FIGURES: Sequence[tuple[str, Callable[[Load], float], str]] = (
    ("worker CPU per call", lambda load: load.cpu_ms, "{:.1f} ms"),
    ("calls a second", lambda load: load.per_second, "{:.0f}"),
    ("median answer", lambda load: load.answer_ms, "{:.0f} ms"),
)


def first_answers(found: Mapping[Peer, Sequence[Measured]]) -> Sequence[str]:
    bare, ours = ([one.first_answer_seconds for one in found[peer]] for peer in (BARE, OURS))
    return _row("first answer of a cold process", bare, ours, "{:.2f} s")


def _row(label: str, bare: Sequence[float], ours: Sequence[float], form: str) -> Sequence[str]:
    ratios = [one / other for one, other in zip(ours, bare, strict=True)]
    spread = f"{median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
    return label, form.format(median(bare)), form.format(median(ours)), spread


if __name__ == "__main__":
    main(Console(), *map(int, sys.argv[1:]))
