"""Fixtures for everything that needs a database: a real Firestore emulator, and an empty project for each test.

`make test` runs two processes, each with an emulator of its own.
"""

import os
import uuid
from collections.abc import Iterator

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from tests.support.indexes import Indexes, Need
from tests.support.wire import ObservedClient
from tools.emulators.firestore_emulator import FirestoreEmulator

INDEXES = Indexes.declared()


@pytest.fixture(scope="session")
def firestore_host() -> Iterator[str]:
    """The emulator that FIRESTORE_EMULATOR_HOST names, or else one of our own."""
    if host := os.environ.get("FIRESTORE_EMULATOR_HOST"):
        yield host
        return
    with FirestoreEmulator() as emulator, pytest.MonkeyPatch.context() as environment:
        environment.setenv("FIRESTORE_EMULATOR_HOST", emulator.host)
        yield emulator.host


@pytest.fixture
def client(firestore_host: str) -> Iterator[ObservedClient]:
    """A client on a project that nothing else uses; in the end, production must have an index for all it was asked."""
    client = ObservedClient(f"demo-{uuid.uuid4().hex[:12]}")
    yield client
    client.wire.start = 0
    needs = {Need.of(query, sums) for _, query, sums in client.wire.queries}
    assert [need for need in needs if not INDEXES.serving(need)] == []
    client.close()  # type: ignore[no-untyped-call]


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(fixturedef: pytest.FixtureDef[object]) -> Iterator[None]:
    """Report once that a session's fixture cannot be set up, and skip the other tests that need it."""
    try:
        return (yield)
    except Exception:
        if fixturedef.scope == "session" and fixturedef.cached_result:
            skipped = pytest.skip.Exception(f"{fixturedef.argname} failed, as the first test that needs it reports")
            fixturedef.cached_result = (None, fixturedef.cached_result[1], (skipped, None))
        raise


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling:
    return _ByFile(config, log)


class _ByFile(LoadScopeScheduling):
    """A file's tests run in one process, and in the same one all those that share one suite under the Firebase CLI.

    Not by xdist's own marks for groups, which are lost on pytest 9.
    """

    def _split_scope(self, nodeid: str) -> str:
        file, _, _ = nodeid.partition("::")
        return "tests/e2e" if file.startswith("tests/e2e/") and not file.endswith("/test_start.py") else file
