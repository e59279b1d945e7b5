"""Fixtures for everything that needs a database: a real Firestore emulator, and an empty project for each test.

`make test` runs two processes, each with an emulator of its own.
"""

import os
import random
import uuid
from collections.abc import Iterator

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling
from xdist.workermanage import WorkerController

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


# The files run in another order each time, so that no test comes to need what another has left.


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--order-seed", type=int, help="run the test files in the order of this seed again")


def pytest_configure(config: pytest.Config) -> None:
    if workerinput := getattr(config, "workerinput", None):
        config.option.order_seed = workerinput["order_seed"]
    elif config.option.order_seed is None:
        config.option.order_seed = random.randrange(1_000_000)


def pytest_configure_node(node: WorkerController) -> None:
    """Pass the seed on to a process of xdist: all have to collect the same order."""
    node.workerinput["order_seed"] = node.config.option.order_seed


def pytest_report_header(config: pytest.Config) -> str:
    return f"order of the files: SEED={config.option.order_seed}"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Shuffle the files. Those that share a suite come first: they take longer than anything beside them."""
    files = list(dict.fromkeys(item.path for item in items))
    random.Random(config.option.order_seed).shuffle(files)
    items.sort(key=lambda item: (not _shares_suite(item.nodeid), files.index(item.path)))


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling:
    config.option.loadscopereorder = False
    return _ByFile(config, log)


class _ByFile(LoadScopeScheduling):
    """A file's tests run in one process, and in the same one all those that share one suite under the Firebase CLI.

    Not by xdist's own marks for groups, which are lost on pytest 9.
    """

    def _split_scope(self, nodeid: str) -> str:
        return "tests/e2e" if _shares_suite(nodeid) else nodeid.partition("::")[0]


def _shares_suite(nodeid: str) -> bool:
    return nodeid.startswith(("tests/e2e/", "tests/fuzz/")) and not nodeid.startswith("tests/e2e/test_start.py")
