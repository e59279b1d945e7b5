"""Runs the siege and prints its table. Exits with 1 if an honest call was not answered or an instance would be full."""

import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import requests
from rich.console import Console
from rich.table import Table

from tests.support.live import Live, operator_of, order
from tools.emulators.suite import Suite, workspace
from tools.siege.attacks import ATTACKS, Attack, Target
from tools.siege.server import MEMORY_BYTES, Server

FUNCTION = "createGenerationRequest"
SECONDS = 8.0
"""The duration of each attack."""
HONEST_USERS = 8
HONEST_CALL_EVERY_SECONDS = 0.5
"""With this pace, each honest user stays far below the rate limit."""
ANSWER_SECONDS_MAX = 60

NONE = Attack("none", 0, lambda _target: None)


@dataclass(frozen=True)
class Row:
    """The honest calls during an attack, and the server's memory."""

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
def besieged() -> Iterator[tuple[Target, Sequence[Caller]]]:
    """Yield a target and honest users, on a server with emulators of its own."""
    with tempfile.TemporaryDirectory() as temporary:
        directory = workspace(Path(temporary) / "project")
        with Suite(directory, "--only", "auth,firestore") as suite, operator_of(suite) as operator:
            live = Live(suite, operator)
            for model in operator.collection("models").list_documents():
                model.update({"failureRate": 0, "latencySeconds": 0})
            attacker, *callers = [_caller(live, number) for number in range(1 + HONEST_USERS)]
            with Server(FUNCTION, suite, Path(temporary) / "server.log") as server:
                yield Target(server, attacker.token, order(attacker.user_id)), callers


def _caller(live: Live, number: int) -> Caller:
    user_id = live.add_user(paid=10_000)
    live.accounts.create_user(uid=user_id, email=f"{user_id}@example.com", email_verified=True, password="imagegen")
    return Caller(user_id, live.sign_in(user_id))


def withstand(attack: Attack, target: Target, callers: Sequence[Caller], seconds: float) -> Row:
    """Make honest calls at a steady pace while the attack goes on. Return the result."""
    ended, rounds = threading.Event(), [0] * attack.threads
    target.server.memory_max()

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
            calls.append(pool.submit(_answered_after, target, callers[len(calls) % len(callers)]))
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
        memory_bytes=target.server.memory_max(),
        is_running=target.server.is_running,
    )


def _answered_after(target: Target, caller: Caller) -> float | None:
    """Make an honest call. Return the seconds until its image came, or None if none came."""
    began = time.monotonic()
    try:
        answer = requests.post(
            target.server.url,
            json={"data": order(caller.user_id)},
            headers={"Authorization": f"Bearer {caller.token}"},
            timeout=ANSWER_SECONDS_MAX,
        )
    except requests.RequestException:
        return None
    return time.monotonic() - began if answer.status_code == 200 else None


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
    with besieged() as (target, callers):
        for attack in (NONE, *attacks):
            with console.status(attack.name):
                rows.append(withstand(attack, target, callers, seconds))
    console.print(table_of(rows))
    return 0 if all(row.is_withstood for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main(Console()))
