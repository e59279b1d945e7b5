"""Tests of loading the catalog while the database is slow or unreachable, with real threads."""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from imagegen.adapters.generators.mock import MockGenerator
from imagegen.domain.catalog import Catalog, Kind
from imagegen.errors import ServiceUnavailable
from imagegen.events import Event
from imagegen.ports.database import DatabaseUnavailable, Put, Query, Snapshot
from imagegen.services.catalog import (
    LOAD_WAIT_SECONDS,
    MAX_AGE_SECONDS,
    RELOAD_DELAY_SECONDS,
    STALE_MAX_SECONDS,
    Catalogs,
)
from simulation.store import Store
from tests.support.catalog import names
from tests.support.progress import PROGRESS_SECONDS, eventually
from tests.support.times import NOON
from tools.fakes import ManualClock
from tools.seed import history

CALLERS = 16


class HangingStore(Store):
    """A database whose queries are counted, hang while ``hangs``, and then fail if ``fails`` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.commit(*(Put(path, data) for path, data in history.documents()))
        self.asked: list[Query] = []
        self.fails: Exception | None = None
        self.reached = threading.Event()
        self._answers = threading.Event()
        self._answers.set()

    def hang(self) -> None:
        self.reached.clear()
        self._answers.clear()

    def answer(self) -> None:
        self._answers.set()

    def find(self, query: Query) -> Sequence[Snapshot]:
        self.asked.append(query)
        self.reached.set()
        assert self._answers.wait(PROGRESS_SECONDS)
        if self.fails is not None:
            raise self.fails
        return super().find(query)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOON)


@pytest.fixture
def store() -> Iterator[HangingStore]:
    store = HangingStore()
    yield store
    store.answer()


@pytest.fixture
def catalogs(store: HangingStore, clock: ManualClock) -> Catalogs:
    rng: Any = None
    return Catalogs(store, {"mock": MockGenerator(clock, rng, "https://site.example.com")}, clock)


@pytest.fixture
def callers() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(CALLERS) as pool:
        yield pool


def begin(catalogs: Catalogs, callers: ThreadPoolExecutor, store: HangingStore) -> "Future[Catalog]":
    """Make a call whose load hangs."""
    store.hang()
    first = callers.submit(catalogs.current)
    assert store.reached.wait(PROGRESS_SECONDS)
    return first


def is_refused(call: Callable[[], Catalog]) -> bool:
    with pytest.raises(ServiceUnavailable, match="cannot be read"):
        call()
    return True


def test_simultaneous_callers_share_one_load(
    catalogs: Catalogs, store: HangingStore, callers: ThreadPoolExecutor
) -> None:
    first = begin(catalogs, callers, store)
    others = [callers.submit(catalogs.current) for _ in range(CALLERS - 1)]
    store.answer()
    got = {id(call.result(PROGRESS_SECONDS)) for call in (first, *others)}
    assert len(got) == 1
    assert len(store.asked) == len(Kind)


def test_collections_are_read_in_one_round_trip(
    catalogs: Catalogs, store: HangingStore, callers: ThreadPoolExecutor
) -> None:
    first = begin(catalogs, callers, store)
    eventually(lambda: len(store.asked) == len(Kind))  # while none of them has been answered
    store.answer()
    assert first.result(PROGRESS_SECONDS).names(Kind.SIZE) == names(Kind.SIZE)


def test_all_callers_of_a_failing_load_are_refused_by_it(
    catalogs: Catalogs, store: HangingStore, callers: ThreadPoolExecutor
) -> None:
    store.fails = DatabaseUnavailable("down")
    first = begin(catalogs, callers, store)
    others = [callers.submit(is_refused, catalogs.current) for _ in range(CALLERS - 1)]
    store.answer()
    assert isinstance(first.exception(PROGRESS_SECONDS), ServiceUnavailable)
    assert all(call.result(PROGRESS_SECONDS) for call in others)
    assert len(store.asked) == len(Kind)


def test_callers_of_a_hanging_load_are_refused_at_once_after_the_wait(
    catalogs: Catalogs, store: HangingStore, clock: ManualClock, callers: ThreadPoolExecutor
) -> None:
    first = begin(catalogs, callers, store)
    clock.sleep(LOAD_WAIT_SECONDS)
    assert all(is_refused(catalogs.current) for _ in range(CALLERS))  # would never return if they waited for the load
    store.answer()
    assert first.result(PROGRESS_SECONDS).names(Kind.SIZE) == names(Kind.SIZE)


def test_first_caller_too_waits_only_for_a_limited_time(
    catalogs: Catalogs, store: HangingStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("imagegen.services.catalog.LOAD_WAIT_SECONDS", 0.05)
    store.hang()
    assert is_refused(catalogs.current)  # would never return if it loaded the catalog itself
    assert store.reached.is_set()


def test_callers_are_refused_at_once_after_a_failed_load(
    catalogs: Catalogs, store: HangingStore, clock: ManualClock
) -> None:
    store.fails = DatabaseUnavailable("down")
    assert all(is_refused(catalogs.current) for _ in range(CALLERS))
    assert len(store.asked) == len(Kind)
    clock.sleep(RELOAD_DELAY_SECONDS)
    store.fails = None
    assert catalogs.current().names(Kind.SIZE) == names(Kind.SIZE)


@pytest.mark.parametrize(
    "failure", [DatabaseUnavailable("down"), RuntimeError("a bug")], ids=lambda e: type(e).__name__
)
def test_last_catalog_is_served_after_a_failed_load_for_a_limited_time(
    catalogs: Catalogs, store: HangingStore, clock: ManualClock, failure: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    loaded = catalogs.current()
    clock.sleep(MAX_AGE_SECONDS)
    store.fails = failure
    assert catalogs.current() is catalogs.current() is loaded
    [event] = [record for record in caplog.records if record.getMessage() == Event.CATALOG_NOT_LOADED]
    assert vars(event)["fields"] == {"error": type(failure).__name__, "ageSeconds": MAX_AGE_SECONDS}
    clock.sleep(STALE_MAX_SECONDS - MAX_AGE_SECONDS - 1)
    assert catalogs.current() is loaded
    clock.sleep(1)
    assert is_refused(catalogs.current)


def test_last_catalog_is_served_while_a_load_hangs(
    catalogs: Catalogs,
    store: HangingStore,
    clock: ManualClock,
    callers: ThreadPoolExecutor,
    caplog: pytest.LogCaptureFixture,
) -> None:
    loaded = catalogs.current()
    clock.sleep(MAX_AGE_SECONDS)
    first = begin(catalogs, callers, store)
    clock.sleep(LOAD_WAIT_SECONDS + 1)
    assert all(catalogs.current() is loaded for _ in range(CALLERS))
    assert not first.done()
    store.answer()
    assert first.result(PROGRESS_SECONDS) is not loaded
    assert Event.CATALOG_LOAD_SLOW in [record.getMessage() for record in caplog.records]


def test_change_during_a_load_takes_effect_within_the_maximum_age(
    catalogs: Catalogs, store: HangingStore, clock: ManualClock, callers: ThreadPoolExecutor
) -> None:
    first = begin(catalogs, callers, store)
    clock.sleep(MAX_AGE_SECONDS - 1)  # a slow load may have read a document before the change
    store.answer()
    first.result(PROGRESS_SECONDS)
    store.commit(Put("styles/pop-art", {"name": "pop art"}))
    clock.sleep(1)
    assert "pop art" in catalogs.current().names(Kind.STYLE)


def test_empty_catalog_replaces_the_last_one(catalogs: Catalogs, store: HangingStore, clock: ManualClock) -> None:
    catalogs.current()
    for path in [path for path, _ in history.documents() if path.startswith("sizes/")]:
        store.commit(Put(path, {**store.read(path)[0].data, "enabled": False}))
    clock.sleep(MAX_AGE_SECONDS)
    for _ in range(2):
        with pytest.raises(ServiceUnavailable, match="no sizes"):
            catalogs.current()
