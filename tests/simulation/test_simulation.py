"""Runs the simulation with many seeds, and tests that a seed can be replayed."""

import os
import subprocess
import sys
from io import StringIO

import pytest
from rich.console import Console

from simulation import runner
from simulation.checks import Violation
from simulation.scheduler import Event
from tests.support.scale import scaled
from tools import simulate
from tools.emulators.project import ROOT

SEEDS = scaled(20, 2500)
"""The seeds of the command. CI runs it with 2,500 seeds, and the next test runs more seeds than this one."""
SOME_SEEDS = range(150)

EVENTS = {
    *(f"client: outcome: {reason}" for reason in ("IMAGE", "INSUFFICIENT_CREDITS", "USER_NOT_FOUND", "CONTENTION")),
    "client: outcome: PRICE_TOO_HIGH",
    *(f"client: outcome: {reason}" for reason in ("GENERATION_FAILED", "GENERATION_TIMEOUT", "ABANDONED")),
    *(f"client: outcome: {reason}" for reason in ("IDEMPOTENCY_MISMATCH", "REQUEST_IN_PROGRESS")),
    *(f"client: outcome: {reason}" for reason in ("SERVICE_UNAVAILABLE", "SETTLEMENT_PENDING")),
    *(f"client: model: {ending}" for ending in ("image", "failure", "crash", "nothing", "timeout", "late")),
    *(f"client: outcome: {reason}" for reason in ("CONTENT_REFUSED", "MODEL_UNAVAILABLE", "IMAGE_NOT_STORED")),
    *(f"{who}: {what}" for who in ("client", "worker") for what in ("image not stored", "image store: answer lost")),
    *(f"{who}: {what}" for who in ("client", "sweeper") for what in ("crash", "stall", "unavailable", "conflict")),
    *(f"{who}: {what}" for who in ("client", "sweeper") for what in ("refused", "lost before", "lost after")),
    *(f"sweeper: {what}" for what in ("settled some", "found nothing to do", "gave up")),
    *(f"{who}: provider hangs" for who in ("client", "worker")),
    *(f"client: outcome: {what}" for what in ("RESENT", "DELIVERY_NOT_FOUND")),
    *(f"client: outcome: {what}" for what in ("CANCELED", "TOO_MANY_CANCELED", "TOO_MANY_RUNNING", "REQUEST_ENDED")),
    *(f"worker: webhook: {ending}" for ending in ("accepted", "slow", "answer lost", "refused", "unreachable")),
    *(f"worker: deliverWebhook: {what}" for what in ("delivered", "failed", "pending", "skipped")),
    *(f"worker: retryWebhook: {what}" for what in ("delivered", "failed", "pending", "skipped")),
    *(f"deleter: {what}" for what in ("deletion: running", "crash", "conflict")),
    *(f"network: arrived late, {what}" for what in ("applied", "refused")),
    *(f"buyer: purchase: {what}" for what in ("CreatedPurchase", "SERVICE_UNAVAILABLE")),
    *(f"payer: {what}" for what in ("pay", "pay later", "settle", "expire", "event lost")),
    *(f"payer: {what}" for what in ("refund", "fail refund", "dispute", "inquiry", "withdraw", "close")),
    *(f"{who}: {what}" for who in ("buyer", "stripe") for what in ("crash", "gave up", "conflict", "stall")),
    *(f"{who}: provider: {what}" for who in ("buyer", "stripe") for what in ("not reached", "answer lost")),
}


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tools.simulate", *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": "functions", **environment},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_no_seed_violates_a_check() -> None:
    simulated = run(str(SEEDS))
    assert simulated.returncode == 0, simulated.stdout + simulated.stderr
    assert f"{SEEDS} seeds, 0 failed." in simulated.stdout


def test_every_kind_of_fault_occurs() -> None:
    total = simulate.tally(SOME_SEEDS)
    assert total.failures == {}
    assert EVENTS - total.counts.keys() == set()


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_same_seed_gives_the_same_trace(seed: int) -> None:
    assert runner.run(seed).trace == runner.run(seed).trace
    assert runner.run(seed).trace != runner.run(seed + 1).trace


def test_seed_gives_the_same_output_in_every_process() -> None:
    first, second = (run("--seed", "7", PYTHONHASHSEED=hash_seed) for hash_seed in ("1", "2"))
    assert (first.returncode, second.returncode) == (0, 0)
    assert first.stdout == second.stdout
    assert first.stdout.endswith("Every invariant holds.\n")


def test_violation_is_reported_with_the_command_to_replay_it(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = runner.Run(17, [Event(1_500_000, "client-1", "crash", "")], [Violation("BALANCE", "1 is not 2")])
    monkeypatch.setattr(runner, "run", lambda _seed: broken)
    monkeypatch.setattr(simulate, "_simulate", lambda seeds, _console: simulate.tally(seeds))
    report, replay = StringIO(), StringIO()
    assert simulate.main(["1", "--first", "17"], Console(file=report, width=30)) == 1
    assert "Seed 17 (to replay it: make simulate SEED=17)\nBALANCE: 1 is not 2" in report.getvalue()
    assert simulate.main(["--seed", "17"], Console(file=replay, width=120)) == 1
    assert replay.getvalue() == "    1.500000  client-1         crash\nBALANCE: 1 is not 2\n"
