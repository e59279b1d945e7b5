"""Tests of the counts of days, against a scan of the stored requests."""

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from math import ceil
from typing import Any

import pytest

from imagegen.documents.generations import REQUESTS, TALLIED, create_request, progress_fields, settlement_fields
from imagegen.domain.catalog import Catalog, Kind
from imagegen.domain.generation import Failure, FailureReason, Fingerprint, GenerationRequest, Status
from imagegen.domain.ledger import Credits
from imagegen.domain.weeks import Week
from imagegen.ports.database import Data, DatabaseUnavailable, Put, Query, Snapshot, Sum, Totals, Update
from imagegen.reports.counting import Counting
from imagegen.reports.model import DayCounts, Tally
from imagegen.reports.usage import DAYS_LOOKED_BACK, STORED_WITHIN, DailyUsage, usage_path
from imagegen.services.catalog import Catalogs
from simulation.store import Store
from tests.support.indexes import Indexes, Need
from tools.fakes import ManualClock
from tools.seed import history

WEEK = Week.parse("2026-W46")
CATALOG = history.catalog()
OPTIONS = sum(len(CATALOG.options(kind)) for kind in Kind)
INDEXES = Indexes.declared()
ENDED = (Status.COMPLETED, Status.FAILED, Status.CANCELED)


@dataclass
class ObservedStore(Store):
    """A store that records its counts and the number of documents that queries read."""

    counted: list[tuple[Sum, Totals]] = field(default_factory=list)
    documents_found: int = 0
    failing: Callable[[Sum], bool] = lambda _: False

    def totals(self, *questions: Sum) -> list[Totals]:
        if any(map(self.failing, questions)):
            raise DatabaseUnavailable("gone")
        totals = super().totals(*questions)
        self.counted += zip(questions, totals, strict=True)
        return totals

    def find(self, query: Query) -> Sequence[Snapshot]:
        found = super().find(query)
        if query.limit:
            self.documents_found += len(found)
        return found

    @property
    def billed_reads(self) -> int:
        return sum(max(1, ceil(totals.count / 1000)) for _, totals in self.counted) + self.documents_found


@pytest.fixture
def store() -> ObservedStore:
    store = ObservedStore()
    for path, data in history.documents():
        store.commit(Put(path, data))
    return store


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(WEEK.end + STORED_WITHIN)


@pytest.fixture
def usage(store: ObservedStore, clock: ManualClock) -> DailyUsage:
    return DailyUsage(store, Catalogs(store, {"mock": AnyProvider()}, clock), Counting(store), clock)


class AnyProvider:
    def check(self, options: Any) -> None: ...
    def generate(self, *_: Any) -> Any: ...


def requests(count: int, *statuses: Status, days: Sequence[str] = WEEK.days, seed: int = 1) -> list[GenerationRequest]:
    """Return random requests of the days. Requests may end on another day."""
    rng = random.Random(seed)
    made = []
    for number in range(count):
        day = datetime.fromisoformat(rng.choice(days)).replace(tzinfo=UTC)
        at = day + timedelta(seconds=rng.choice([0, 86_399.9, rng.uniform(0, 86_399)]))
        model, style, color, size = (rng.choice(CATALOG.options(kind)).name for kind in Kind)
        cost = next(option.credit_cost for option in CATALOG.sizes if option.name == size)
        request = GenerationRequest(
            id=f"{rng.getrandbits(128):032x}",
            user_id=f"user-{number % 7}",
            model=model,
            style=style,
            color=color,
            size=size,
            prompt="a lighthouse",
            cost=cost,
            paid_from=Credits(0, cost),
            fingerprint=Fingerprint(""),
            reservation_id="",
            created_at=at,
            started_at=at,
            lease_expires_at=at + timedelta(minutes=4),
        )
        made.append(with_status(request, rng.choice(statuses), at + timedelta(seconds=rng.lognormvariate(1.4, 1))))
    return made


def with_status(request: GenerationRequest, status: Status, at: datetime) -> GenerationRequest:
    match status:
        case Status.COMPLETED:
            return request.completed("https://images.example.com/1.png", at)
        case Status.FAILED | Status.CANCELED:
            is_canceled = status is Status.CANCELED
            reason = FailureReason.CANCELED if is_canceled else FailureReason.GENERATION_FAILED
            return request.failed(Failure(reason, "", request.cost, 0), at)
    return replace(request, status=status)


def store_all(store: Store, requests: Sequence[GenerationRequest]) -> None:
    for request in requests:
        store.commit(create_request(request))


def scanned(store: Store, days: Sequence[str], catalog: Catalog = CATALOG) -> dict[str, DayCounts]:
    """Count the days as a program without aggregation queries does."""
    documents = [document.data for document in store.scan(REQUESTS)]
    return {
        day: DayCounts(
            of(data for data in documents if data["day"] == day),
            {
                kind: {
                    option.name: of(
                        data for data in documents if data["day"] == day and data[kind.value] == option.name
                    )
                    for option in catalog.options(kind)
                    if any(data["day"] == day for data in documents)
                }
                for kind in Kind
            },
        )
        for day in days
    }


def of(documents: Iterator[Data]) -> Tally:
    tally = Tally()
    for data in documents:
        ended = [data["status"] == status for status in ENDED]
        completed, failed, canceled = ended
        tally += Tally(1, completed, failed, canceled, data["cost"], data["cost"] if failed or canceled else 0)
    return tally


def drop_new_fields(store: Store, request: GenerationRequest) -> None:
    """Store a request as an earlier version did."""
    data = dict(create_request(request).data)
    del data["hour"], data["tally"]
    store.commit(Put(f"{REQUESTS}/{request.id}", data))


def settle(store: Store, request: GenerationRequest, status: Status, *without: str) -> None:
    """Settle a stored request, without some of the fields."""
    [stored] = store.read(f"{REQUESTS}/{request.id}")
    assert stored.version is not None
    settled = settlement_fields(with_status(request, status, request.created_at + timedelta(hours=4)))
    fields = {name: value for name, value in settled.items() if name not in without}
    store.commit(Update(stored.path, fields, stored.version))


def test_counts_of_a_busy_week_equal_a_scan(store: ObservedStore) -> None:
    store_all(store, requests(500, *ENDED))
    assert Counting(store).days(WEEK.days, CATALOG) == scanned(store, WEEK.days)
    assert store.documents_found == 0
    per_day = 1 + OPTIONS - len(Kind)
    assert len(store.counted) == 3 + 7 * per_day + len(Kind) + 1 == 99  # one asks for refused requests


def test_counts_of_one_busy_day_equal_a_scan(store: ObservedStore) -> None:
    store_all(store, requests(100, *ENDED, days=WEEK.days[2:3]))
    assert Counting(store).days(WEEK.days[2:3], CATALOG) == scanned(store, WEEK.days[2:3])
    assert len(store.counted) == 3 + 1 + OPTIONS + 1
    store.counted.clear()
    days = WEEK.days[:2], WEEK.days[1:4], WEEK.days
    for some in days:
        assert Counting(store).days(some, CATALOG) == scanned(store, some)


@pytest.mark.parametrize("count", [0, 1, 17, 18, 7 * 17, 7 * 17 + 1])
def test_requests_are_read_where_that_costs_no_more(store: ObservedStore, count: int) -> None:
    store_all(store, requests(count, *ENDED))
    for days in (WEEK.days, WEEK.days[:1]):
        store.counted.clear()
        store.documents_found = 0
        on_days = sum(data["day"] in days for data in (document.data for document in store.scan(REQUESTS)))
        assert Counting(store).days(days, CATALOG) == scanned(store, days)
        is_read = on_days <= len(days) * (1 + OPTIONS)
        assert store.documents_found == (on_days if is_read else 0)
        assert store.billed_reads <= 3 + len(days) + min(on_days, len(days) * (1 + OPTIONS))


def test_few_requests_are_read_by_pages(store: ObservedStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("imagegen.reports.counting.PAGE_SIZE", 5)
    for count in (4, 5, 10, 14):
        store_all(store, requests(count, *ENDED, seed=count))
        assert Counting(store).days(WEEK.days, CATALOG) == scanned(store, WEEK.days)


@pytest.mark.parametrize("seed", range(5))
def test_unfinished_requests_are_counted_as_such(store: ObservedStore, seed: int) -> None:
    store_all(store, requests(250, *ENDED, seed=seed))
    store_all(store, requests(90, *Status, days=WEEK.days[5:], seed=100 + seed))
    assert Counting(store).days(WEEK.days, CATALOG) == scanned(store, WEEK.days)
    assert store.documents_found == 0


@pytest.mark.parametrize("statuses", [[*Status], [Status.COMPLETED]])
def test_requests_of_an_earlier_version_are_counted(store: ObservedStore, statuses: list[Status]) -> None:
    """Days with such requests are read, and the others are not."""
    new, old = requests(300, *ENDED), requests(40, *statuses, days=WEEK.days[1:3], seed=2)
    store_all(store, new)
    for request in old:
        drop_new_fields(store, request)
    assert Counting(store).days(WEEK.days, CATALOG) == scanned(store, WEEK.days)
    assert store.documents_found == sum(request.day in WEEK.days[1:3] for request in [*new, *old])


@pytest.mark.parametrize("status", ENDED)
def test_requests_settled_by_an_earlier_version_are_counted(store: ObservedStore, status: Status) -> None:
    """During a deploy, an instance of the earlier version may settle a request of the new one."""
    store_all(store, requests(300, *ENDED))
    running = requests(2, Status.PROCESSING, days=WEEK.days[4:5], seed=3)
    store_all(store, running)
    for request in running:
        settle(store, request, status, "tally")
        assert Counting(store).days(WEEK.days, CATALOG) == scanned(store, WEEK.days)


@pytest.mark.parametrize("days", [WEEK.days, WEEK.days[3:4]])
def test_options_that_left_the_catalog_are_in_the_total_only(store: ObservedStore, days: list[str]) -> None:
    store_all(store, requests(400, *ENDED))
    smaller = replace(CATALOG, styles=CATALOG.styles[1:], sizes=CATALOG.sizes[:-1])
    counts = Counting(store).days(days, smaller)
    assert counts == scanned(store, days, smaller)
    assert counts[days[0]].total.requests > sum(
        tally.requests for tally in counts[days[0]].options[Kind.STYLE].values()
    )


def test_catalog_with_one_option_of_a_kind_is_counted(store: ObservedStore) -> None:
    store_all(store, requests(400, *ENDED))
    single = replace(CATALOG, models=CATALOG.models[:1])
    assert Counting(store).days(WEEK.days, single) == scanned(store, WEEK.days, single)


def test_unreadable_requests_are_left_out(store: ObservedStore, caplog: pytest.LogCaptureFixture) -> None:
    store_all(store, requests(10, *ENDED))
    expected = scanned(store, WEEK.days)
    for name, value in (("status", "lost"), ("cost", "three"), ("style", None)):
        broken = {**create_request(requests(1, *ENDED)[0]).data, name: value}
        store.commit(Put(f"{REQUESTS}/{name}", broken))
    assert Counting(store).days(WEEK.days, CATALOG) == expected
    logged = [vars(record)["fields"] for record in caplog.records]
    assert logged == [{"path": f"{REQUESTS}/{name}", "field": name} for name in ("cost", "status", "style")]


# Aggregations, their indexes and their fields


def test_every_aggregation_has_an_index_and_sums_fields_that_each_request_has(store: ObservedStore) -> None:
    """An aggregation leaves out documents that lack a summed field, so each request is stored with all of them."""
    store_all(store, requests(400, *ENDED))
    store_all(store, requests(50, *Status, days=WEEK.days[:1], seed=2))
    counting = Counting(store)
    counting.days(WEEK.days, CATALOG)
    counting.processing(WEEK)
    counting.trial_credits(WEEK)
    needs = {
        Need(
            question.query.collection,
            frozenset(where.field for where in question.query.where if where.op in ("==", "in")),
            tuple({where.field: "ASCENDING" for where in question.query.where if where.op in ("<", ">=")}.items()),
            frozenset(question.fields) - {where.field for where in question.query.where if where.op in ("<", ">=")},
        )
        for question, _ in store.counted
    }
    tallied = frozenset(TALLIED)
    hour = (("hour", "ASCENDING"),)
    assert needs == {
        Need(REQUESTS, frozenset({"day"})),
        Need(REQUESTS, frozenset({"day", "status"})),
        Need(REQUESTS, frozenset({"day", "status"}), sums=frozenset({"cost"})),
        Need(REQUESTS, frozenset({"day", "error.reason"})),
        Need(REQUESTS, frozenset({"day"}), hour, tallied),
        *(Need(REQUESTS, frozenset({"day", kind.value}), hour, tallied) for kind in Kind),
        *(Need(REQUESTS, frozenset({"day", "status", kind.value})) for kind in Kind),
        Need(REQUESTS, frozenset({"week", "status"}), (("processingMs", "ASCENDING"),)),
        Need(REQUESTS, frozenset({"week"}), (("paidFrom.trial", "ASCENDING"),)),
    }
    assert [need for need in needs if not INDEXES.serving(need)] == []
    paths = {path for need in needs for path in (*need.equal, *need.sums, *dict(need.order))}
    paths -= {"error.reason"}  # only failed requests have it, and only refused ones are counted by it
    for request in requests(50, *Status):
        assert {path for path in paths if value_at(create_request(request).data, path) is None} <= {"processingMs"}
        for update in (settlement_fields(request), progress_fields(request)):
            assert update.get("tally", {}).keys() in ({"completed", "failed", "refunded"}, set())


def value_at(data: Any, path: str) -> Any:
    for part in path.split("."):
        data = data.get(part)
    return data


@pytest.mark.parametrize(
    ("status", "tally"),
    [
        (Status.PENDING, (0, 0, 0)),
        (Status.PROCESSING, (0, 0, 0)),
        (Status.COMPLETED, (1, 0, 0)),
        (Status.FAILED, (0, 1, 4)),
        (Status.CANCELED, (0, 0, 4)),
    ],
)
def test_tally_of_a_request_says_how_it_ended(status: Status, tally: tuple[int, int, int]) -> None:
    request = replace(requests(1, status)[0], cost=4)
    stored = create_request(request).data["tally"]
    assert (stored["completed"], stored["failed"], stored["refunded"]) == tally


# Days that were counted before


def days_tallied(store: ObservedStore) -> set[str]:
    """Return the days on which requests were tallied, and not only counted."""
    tallied = [sum.query.where for sum, _ in store.counted if sum.fields == TALLIED]
    return {day for where in tallied for condition in where if condition.field == "day" for day in condition.value}


def test_ended_days_are_counted_once(store: ObservedStore, usage: DailyUsage) -> None:
    store_all(store, requests(500, *ENDED))
    first = usage.of(WEEK.days)
    assert first == scanned(store, WEEK.days)
    store.counted.clear()
    assert usage.of(WEEK.days) == first
    assert len(store.counted) == 1


def test_days_are_stored_once_they_are_final(store: ObservedStore, usage: DailyUsage, clock: ManualClock) -> None:
    def stored() -> list[str]:
        return [document.id for document in store.scan("dailyUsage")]

    [running] = requests(1, Status.PROCESSING, days=WEEK.days[4:5], seed=3)
    store_all(store, [*requests(300, *ENDED), running])
    clock.at = WEEK.end + STORED_WITHIN - timedelta(seconds=1)
    assert usage.of(WEEK.days) == scanned(store, WEEK.days)
    assert stored() == [*WEEK.days[:4], WEEK.days[5]]  # Friday has not ended, and Sunday may still get requests

    clock.at = WEEK.end + STORED_WITHIN
    settle(store, running, Status.FAILED)
    store.counted.clear()
    assert usage.of(WEEK.days) == scanned(store, WEEK.days)
    assert days_tallied(store) == {WEEK.days[4], WEEK.days[6]}
    assert stored() == WEEK.days


def test_requests_that_are_stored_or_deleted_late_are_counted(store: ObservedStore, usage: DailyUsage) -> None:
    store_all(store, requests(300, *ENDED))
    usage.of(WEEK.days)
    store_all(store, requests(3, *ENDED, days=WEEK.days[2:3], seed=5))
    gone = next(document.id for document in store.scan(REQUESTS) if document.data["day"] == WEEK.days[6])
    del store.collections[REQUESTS][gone]
    store.counted.clear()
    assert usage.of(WEEK.days) == scanned(store, WEEK.days)
    assert usage.of(WEEK.days) == scanned(store, WEEK.days)


def test_daily_run_counts_the_last_days(store: ObservedStore, usage: DailyUsage, clock: ManualClock) -> None:
    store_all(store, requests(500, *ENDED))
    clock.at = WEEK.end + timedelta(hours=5)
    assert usage.count_days_before(clock.at) == DAYS_LOOKED_BACK
    store.counted.clear()
    assert usage.of(WEEK.days) == scanned(store, WEEK.days)
    assert len(store.counted) == 1
    clock.at += timedelta(days=1)
    store.counted.clear()
    assert usage.count_days_before(clock.at) == DAYS_LOOKED_BACK
    assert days_tallied(store) == {str(WEEK.end.date())}


def test_interrupted_run_goes_on_with_the_counted_days(store: ObservedStore, usage: DailyUsage) -> None:
    store_all(store, requests(500, *ENDED))
    usage.of(WEEK.days[:3])
    store.failing = lambda question: any(where.value == "cyberpunk" for where in question.query.where)
    with pytest.raises(DatabaseUnavailable):
        usage.of(WEEK.days)
    store.failing, store.counted = lambda _: False, []
    assert usage.of(WEEK.days) == scanned(store, WEEK.days)
    assert days_tallied(store) == {*WEEK.days[3:]}


@pytest.mark.parametrize("number", ["43", None, 2.5, True, [], {}])
@pytest.mark.parametrize("part", ["document", "total", "styles"])
def test_counts_that_cannot_be_read_are_counted_again(
    store: ObservedStore, usage: DailyUsage, caplog: pytest.LogCaptureFixture, part: str, number: object
) -> None:
    store_all(store, requests(300, *ENDED))
    usage.of(WEEK.days)
    [stored] = store.read(usage_path(WEEK.days[1]))
    bad: dict[str, dict[str, Any]] = {
        "document": {"total": number},
        "total": {**stored.data, "total": {**stored.data["total"], "requests": number}},
        "styles": {**stored.data, "styles": [{**stored.data["styles"][0], "failed": number}]},
    }
    store.commit(Put(stored.path, bad[part]))
    assert usage.of(WEEK.days) == scanned(store, WEEK.days)
    assert unreadable_paths(caplog) == [usage_path(WEEK.days[1])]
    caplog.clear()
    assert usage.of(WEEK.days) == scanned(store, WEEK.days)
    assert unreadable_paths(caplog) == []


def unreadable_paths(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return the paths of the events logged so far. Threads of other tests may log other records."""
    return [vars(record)["fields"]["path"] for record in caplog.records if record.name == "imagegen"]
