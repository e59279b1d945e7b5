"""Runs the tests in client/, which use Google's client SDK in Node as an app does."""

import json
import os
import subprocess
import uuid

import pytest

from tests.support.api import CALLABLES
from tests.support.catalog import COSTS
from tests.support.live import Live
from tests.support.models import BROKEN, LATE, SLOW
from tests.support.weeks import QUIET_WEEK
from tools.emulators.project import ROOT
from tools.seed import history

CLIENT = ROOT / "tests" / "e2e" / "client"
BROKEN_STREAM = "RPC 'Listen' stream"
"""The SDK's message when the emulator breaks a listener's connection. The listener then misses changes."""


def new_account(live: Live) -> dict[str, str]:
    """Create an account with a verified e-mail address and without a user document. Return its id and address."""
    uid, email = f"user-{uuid.uuid4().hex[:12]}", f"{uuid.uuid4().hex}@example.com"
    password = history.source("users")["password"]
    live.accounts.create_user(uid=uid, email=email, email_verified=True, password=password)
    return {"uid": uid, "email": email}


def run_tests(live: Live, tests: str) -> "subprocess.CompletedProcess[str]":
    """Run a file of tests with accounts of its own."""
    suite = {
        "project": live.suite.project_id,
        "auth": live.suite.auth_host,
        "firestore": live.suite.firestore_host,
        "functions": live.suite.functions_host,
        "callables": CALLABLES,
        "costs": COSTS,
        "password": history.source("users")["password"],
        "broken": BROKEN,
        "slow": SLOW,
        "late": LATE,
        "admin": {"email": "user-admin@example.com"},
        "other": {"email": "user-0@example.com"},
        "newcomer": new_account(live),
        "watcher": new_account(live),
        "week": str(QUIET_WEEK),
    }

    return subprocess.run(
        ["node", "--test", "--test-reporter=spec", str(CLIENT / tests)],
        env={**os.environ, "SUITE": json.dumps(suite), "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.mark.parametrize("tests", sorted(path.name for path in CLIENT.glob("*.test.mjs")))
def test_client_sdk_tests_pass(live: Live, tests: str) -> None:
    run = run_tests(live, tests)
    if BROKEN_STREAM in run.stdout:
        run = run_tests(live, tests)

    assert run.returncode == 0, f"{run.stdout}\n{run.stderr}"
