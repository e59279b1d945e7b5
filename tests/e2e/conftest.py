"""One emulator suite under the real Firebase CLI, with the whole seed, for all end-to-end tests.

It takes some seconds to start and is shared, so tests leave the seeded catalog alone and spend the credits of users
that they add.
"""

from collections.abc import Iterator

import pytest
from google.cloud import firestore

from tests.support.invariants import violations
from tests.support.live import Live, operator_of
from tests.support.models import BROKEN, LATE, SLOW
from tools.emulators.suite import Suite, workspace
from tools.seed import history

_MODELS = {
    "model-broken": {"name": BROKEN, "failureRate": 1},
    "model-slow": {"name": SLOW, "latencySeconds": 30, "timeoutSeconds": 0.5},
    "model-late": {"name": LATE, "latencySeconds": 2},
}


@pytest.fixture(scope="session")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Suite]:
    """The running suite. The seeded models never fail in it; two others do, each in its way. One style is disabled."""
    directory = workspace(tmp_path_factory.mktemp("e2e") / "project")
    with Suite(directory) as suite:
        with operator_of(suite) as operator:
            _prepare(operator)
        yield suite


@pytest.fixture(scope="session")
def live(suite: Suite) -> Iterator[Live]:
    """The suite's functions, accounts and database. After all tests, no credit may be lost or invented."""
    with operator_of(suite) as operator:
        yield Live(suite, operator)
        assert violations(operator) == []


@pytest.fixture(scope="session")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """The same suite in a project that has no settings file of its own, and wants App Check tokens."""
    directory = workspace(tmp_path_factory.mktemp("closed") / "project", settings={"ENFORCE_APP_CHECK": "true"})
    (directory / ".firebaserc").unlink()
    (directory / ".firebaserc").write_text('{"projects": {"default": "demo-closed"}}')
    with Suite(directory, "--only", "auth,functions,firestore") as suite, operator_of(suite) as operator:
        yield Live(suite, operator)


def _prepare(operator: firestore.Client) -> None:
    """Before the first call, so that no function has the catalog in its cache yet."""
    models = operator.collection("models")
    template = next(data for path, data in history.documents() if path == "models/model-a")
    for model in models.list_documents():
        model.update({"failureRate": 0})
    operator.document("styles/retired").set({"name": "retired", "enabled": False, "order": 100})
    for id, fields in _MODELS.items():
        models.document(id).set({**template, "failureRate": 0, "order": 100, **fields})
