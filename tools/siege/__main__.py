"""Runs the siege and prints its table. Exits with 1 if an honest call was not answered or an instance would be full."""

import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import requests
from rich.console import Console
from rich.table import Table

from tests.support.live import Live, operator_of, order
from tools.emulators.suite import Suite, workspace
from tools.siege.attacks import ATTACKS, CREATE, LONG_AGO, READS, SWEEP, Attack, Target
from tools.siege.queue import accepting_queue
from tools.siege.server import MEMORY_BYTES, Server

SECONDS = 4.0
"""The duration of each attack."""
HONEST_USERS = 8
HONEST_CALL_EVERY_SECONDS = 0.5
"""With this pace, each honest user stays far below the rate limit."""
ANSWER_SECONDS_MAX = 60

NONE = Attack("none", 0, lambda _target: None)


@dataclass(frozen=True)
class Row:
    """The honest calls during an attack, and the memory of the biggest server."""

    attack: str
    rounds: int
    made: int
    answered: int
    slowest_seconds: float
    memory_bytes: int
    is_running: bool

    @property
    def is_withstood(self) -> bool:
        return self.is_running and self.answered == self.made > 0 and self.memory_bytes < MEMORY_BYTES


@dataclass(frozen=True)
class Caller:
    """An honest user."""

    user_id: str
    token: str


@contextmanager
def besieged(attacks: Sequence[Attack]) -> Iterator[tuple[Sequence[Target], Sequence[Caller]]]:
    """Yield the target of each attack, and honest users, on a server for each function with emulators of their own.

    Each attacker has an account of its own, so that no attack finds its limits used up.
    """
    with ExitStack() as stack:
        temporary = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        suite = stack.enter_context(Suite(workspace(temporary / "project"), "--only", "auth,firestore"))
        operator = stack.enter_context(operator_of(suite))
        live = Live(suite, operator)
        for model in operator.collection("models").list_documents():
            model.update({"failureRate": 0, "latencySeconds": 0})
        settings = {"CLOUD_TASKS_EMULATOR_HOST": stack.enter_context(accepting_queue())}
        servers = {
            function: stack.enter_context(Server(function, suite, temporary / f"{function}.log", settings))
            for function in dict.fromkeys(attack.function for attack in attacks)
        }

        def target() -> Target:
            attacker = _caller(live)
            data = order(attacker.user_id)
            completed = _call(servers[CREATE], attacker, {**data, "webhookUrl": "https://receiver.example.com/"})
            return Target(servers, operator, attacker.token, data, completed["generationRequestId"])

        yield [target() for _ in attacks], [_caller(live) for _ in range(HONEST_USERS)]


def _call(server: Server, caller: Caller, data: object) -> dict[str, Any]:
    """Make an honest call and return its result. Raises requests.RequestException if it is not answered with 200."""
    answer = requests.post(
        server.url,
        json={"data": data},
        headers={"Authorization": f"Bearer {caller.token}"},
        timeout=ANSWER_SECONDS_MAX,
    )
    answer.raise_for_status()
    result: dict[str, Any] = answer.json()["result"]
    return result


def _caller(live: Live) -> Caller:
    user_id = live.add_user(paid=10_000)
    live.accounts.create_user(uid=user_id, email=f"{user_id}@example.com", email_verified=True, password="imagegen")
    return Caller(user_id, live.sign_in(user_id))


def withstand(attack: Attack, target: Target, callers: Sequence[Caller], seconds: float) -> Row:
    """Make honest calls at a steady pace while the attack goes on. Return the result."""
    ended, rounds = threading.Event(), [0] * attack.threads
    memory_max(target)

    def repeat(number: int) -> None:
        while not ended.is_set():
            attack.round(target)
            rounds[number] += 1

    attackers = [threading.Thread(target=repeat, args=(number,), daemon=True) for number in range(attack.threads)]
    calls: list[Future[float | None]] = []
    with ThreadPoolExecutor(max_workers=int(seconds / HONEST_CALL_EVERY_SECONDS) + 1) as pool:
        for thread in attackers:
            thread.start()
        began = time.monotonic()
        while (since := time.monotonic() - began) < seconds:
            calls.append(pool.submit(_answered_after, target, attack, callers[len(calls) % len(callers)]))
            time.sleep(max(0.0, len(calls) * HONEST_CALL_EVERY_SECONDS - since))
        answers = [call.result() for call in calls]
        ended.set()
    for thread in attackers:
        thread.join(ANSWER_SECONDS_MAX)
    times = [answer for answer in answers if answer is not None]
    return Row(
        attack=attack.name,
        rounds=sum(rounds),
        made=len(calls),
        answered=len(times),
        slowest_seconds=max(times, default=0.0),
        memory_bytes=memory_max(target),
        is_running=is_running(target),
    )


def memory_max(target: Target) -> int:
    """Return the most memory, in bytes, that one of the servers has used since the last call."""
    return max(server.memory_max() for server in target.servers.values())


def is_running(target: Target) -> bool:
    return all(server.is_running for server in target.servers.values())


def _answered_after(target: Target, attack: Attack, caller: Caller) -> float | None:
    """Make an honest call: create an image, or read with the function that is attacked, if it reads.

    Return the seconds until the answer came, or None if the call failed.
    """
    reads = attack.function in READS
    data = {"userId": caller.user_id} if reads else order(caller.user_id)
    began = time.monotonic()
    try:
        _call(target[attack.function if reads else CREATE], caller, data)
    except requests.RequestException:
        return None
    return time.monotonic() - began


def sweep(target: Target, callers: Sequence[Caller]) -> Row:
    """Sweep once, with requests of honest users that have waited too long. The settled ones count as answered."""
    memory_max(target)
    ids = [
        _call(target[CREATE], caller, order(caller.user_id, mode="async"))["generationRequestId"] for caller in callers
    ]
    documents = [target.database.document(f"generationRequests/{id}") for id in ids]
    for document in documents:
        document.update({"leaseExpiresAt": datetime.now(UTC), "giveUpAt": LONG_AGO})
    began = time.monotonic()
    answer = requests.post(target[SWEEP].url, timeout=ANSWER_SECONDS_MAX)
    seconds = time.monotonic() - began
    settled = [document for document in documents if answer.ok and document.get().get("status") == "failed"]
    return Row(
        "a sweep of bad documents", 1, len(documents), len(settled), seconds, memory_max(target), is_running(target)
    )


def table_of(rows: Sequence[Row]) -> Table:
    table = Table("attack", "rounds", "honest calls answered", "slowest", "memory", "withstood")
    for row in rows:
        table.add_row(
            row.attack,
            f"{row.rounds:,}",
            f"{row.answered} of {row.made}",
            f"{row.slowest_seconds:.1f} s",
            f"{row.memory_bytes / 2**20:.0f} MiB",
            "yes" if row.is_withstood else "NO",
        )
    return table


def main(console: Console, attacks: Sequence[Attack] = ATTACKS, seconds: float = SECONDS) -> int:
    """Return the exit code."""
    rows = []
    attacks = (NONE, *attacks)
    with besieged(attacks) as (targets, callers):
        for attack, target in zip(attacks, targets, strict=True):
            with console.status(attack.name):
                rows.append(withstand(attack, target, callers, seconds))
        if SWEEP in target.servers:
            rows.append(sweep(target, callers))
    console.print(table_of(rows))
    return 0 if all(row.is_withstood for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main(Console()))
