"""Fixtures for one emulator suite with the sample data, shared by all end-to-end tests.

Tests must not change the sample catalog. They must spend only the credits of users that they add.
"""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from google.cloud import firestore

from tests.support.invariants import violations
from tests.support.live import Live, operator_of
from tests.support.models import BROKEN, CANVAS, LATE, SLOW, SWITCHED
from tools.emulators.suite import Suite, workspace
from tools.seed import history

BARE = ("--only", "auth,functions,firestore", "--config", "firebase.json")
"""The arguments that make the CLI read the committed configuration."""

_MODELS: dict[str, dict[str, Any]] = {
    "model-broken": {"name": BROKEN, "failureRate": 1},
    "model-slow": {"name": SLOW, "latencySeconds": 30, "timeoutSeconds": 0.5},
    "model-late": {"name": LATE, "latencySeconds": 2},
    "model-switched": {"name": SWITCHED},
    "canvas": {"name": CANVAS, "provider": "canvas", "takesSeed": True},
}


@pytest.fixture(scope="session")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Suite]:
    """Yield the running suite. The sample models never fail in it. Models and a disabled style are added."""
    directory = workspace(tmp_path_factory.mktemp("e2e") / "project")
    with Suite(directory) as suite:
        with operator_of(suite) as operator:
            _prepare(operator)
        yield suite


@pytest.fixture(scope="session")
def live(suite: Suite) -> Iterator[Live]:
    """Yield access to the suite. Check after all tests that the invariants of the credits hold."""
    with operator_of(suite) as operator:
        yield Live(suite, operator)
        assert violations(operator) == []


@pytest.fixture(scope="session")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """Yield access to a suite with App Check in a project to which `.env.demo-imagegen` does not apply.

    The CLI reads firebase.json itself, as it does without `make start`. Only the Emulator UI, which it would download,
    is turned off.
    """
    directory = workspace(tmp_path_factory.mktemp("closed") / "project", settings={"ENFORCE_APP_CHECK": "true"})
    config = json.loads((directory / "firebase.json").read_text("utf-8"))
    config["emulators"]["ui"]["enabled"] = False
    (directory / "firebase.json").write_text(json.dumps(config), encoding="utf-8")
    (directory / ".firebaserc").unlink()
    (directory / ".firebaserc").write_text('{"projects": {"default": "demo-closed"}}')
    with Suite(directory, *BARE) as suite, operator_of(suite) as operator:
        yield Live(suite, operator)


def _prepare(operator: firestore.Client) -> None:
    """Change the catalog before the first call, because functions cache it."""
    models = operator.collection("models")
    template = next(data for path, data in history.documents() if path == "models/model-a")
    for model in models.list_documents():
        model.update({"failureRate": 0})
    operator.document("styles/retired").set({"name": "retired", "enabled": False, "order": 100})
    for id, fields in _MODELS.items():
        models.document(id).set({**template, "failureRate": 0, "order": 100, **fields})
