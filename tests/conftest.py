"""Fixtures for a Firestore emulator and an empty project for each test, and the order of the test files.

`make test` runs two processes, and each starts its own emulator.
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
from tools import browser
from tools.emulators.firestore_emulator import FirestoreEmulator

INDEXES = Indexes.declared()


@pytest.fixture(scope="session")
def firestore_host() -> Iterator[str]:
    """Yield the host of the emulator that FIRESTORE_EMULATOR_HOST names, or of a new emulator."""
    if host := os.environ.get("FIRESTORE_EMULATOR_HOST"):
        yield host
        return
    with FirestoreEmulator() as emulator, pytest.MonkeyPatch.context() as environment:
        environment.setenv("FIRESTORE_EMULATOR_HOST", emulator.host)
        yield emulator.host


@pytest.fixture
def client(firestore_host: str) -> Iterator[ObservedClient]:
    """Yield a client of an empty project. Check afterwards that every query sent has an index in production."""
    client = ObservedClient(f"demo-{uuid.uuid4().hex[:12]}")
    yield client
    client.wire.start = 0
    needs = {Need.of(query, sums) for _, query, sums in client.wire.queries}
    assert [need for need in needs if not INDEXES.serving(need)] == []
    client.close()  # type: ignore[no-untyped-call]


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(fixturedef: pytest.FixtureDef[object]) -> Iterator[None]:
    """Report the failure of a session fixture once, and skip the other tests that need the fixture."""
    try:
        return (yield)
    except Exception:
        if fixturedef.scope == "session" and fixturedef.cached_result:
            skipped = pytest.skip.Exception(f"{fixturedef.argname} failed, as the first test that needs it reports")
            fixturedef.cached_result = (None, fixturedef.cached_result[1], (skipped, None))
        raise


# The files run in a different order each time, to find tests that depend on data of earlier tests.


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--order-seed", type=int, help="run the test files in the order of an earlier run")


def pytest_configure(config: pytest.Config) -> None:
    if workerinput := getattr(config, "workerinput", None):
        config.option.order_seed = workerinput["order_seed"]
    elif config.option.order_seed is None:
        config.option.order_seed = random.randrange(1_000_000)


def pytest_configure_node(node: WorkerController) -> None:
    """Pass the seed to an xdist worker. All workers must collect the tests in the same order."""
    node.workerinput["order_seed"] = node.config.option.order_seed


def pytest_report_header(config: pytest.Config) -> list[str]:
    skipped = [] if browser.executable() else [f"the tests in a browser are skipped: {browser.MISSING}"]
    return [f"order of the files: SEED={config.option.order_seed}", *skipped]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Shuffle the files. Files that start a suite run first, those that share one before the others.

    They take the longest. With short files at the end, both processes end at about the same time.
    """
    files = list(dict.fromkeys(item.path for item in items))
    random.Random(config.option.order_seed).shuffle(files)
    position = {path: number for number, path in enumerate(files)}
    items.sort(
        key=lambda item: (
            not _shares_suite(item.nodeid),
            not item.nodeid.startswith((*_OWN_SUITES, "tests/fuzz/")),
            position[item.path],
        )
    )


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling:
    config.option.loadscopereorder = False
    return _ByFile(config, log)


class _ByFile(LoadScopeScheduling):
    """Runs each file in one process, and all files that share a suite in the same process.

    xdist's own group marks are lost on pytest 9.
    """

    def _split_scope(self, nodeid: str) -> str:
        return "tests/e2e" if _shares_suite(nodeid) else nodeid.partition("::")[0]


_OWN_SUITES = ("tests/e2e/test_start.py", "tests/e2e/test_start_variants.py", "tests/e2e/test_siege.py")
"""These start hardly any function under the CLI, which may give two functions of two suites the same port."""


def _shares_suite(nodeid: str) -> bool:
    return nodeid.startswith("tests/e2e/") and not nodeid.startswith(_OWN_SUITES)
