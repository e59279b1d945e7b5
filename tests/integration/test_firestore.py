"""Tests of the Firestore adapter: how it maps gRPC errors to those of the database port."""

from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import pytest
from google.cloud.firestore_v1.types import ArrayValue, Document, Value

from imagegen.adapters.firestore import MAX_HALVINGS, FirestoreDatabase
from imagegen.documents.accounts import LEDGER
from imagegen.documents.generations import REQUESTS
from imagegen.ports.database import (
    SUM_MAX,
    CommitRefused,
    Create,
    DatabaseUnavailable,
    OutcomeUnknown,
    Query,
    Snapshot,
    Sum,
    Totals,
    Update,
    Where,
)
from tests.support.api import Api
from tests.support.backend import AddUser, set_models
from tests.support.orders import ORDER
from tests.support.times import NOON
from tests.support.wire import Fault, ObservedClient
from tools.emulators.ports import free_ports

UNCERTAIN = [
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.INTERNAL,
    grpc.StatusCode.UNKNOWN,
    grpc.StatusCode.CANCELLED,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
]
REFUSALS = [grpc.StatusCode.ABORTED, grpc.StatusCode.FAILED_PRECONDITION, grpc.StatusCode.ALREADY_EXISTS]


@pytest.mark.parametrize("status", UNCERTAIN, ids=lambda status: status.name)
def test_commit_without_an_answer_is_outcome_unknown_and_sent_once(
    client: ObservedClient, database: FirestoreDatabase, status: grpc.StatusCode
) -> None:
    client.wire.commit_faults = [Fault(status, applied=True)]
    with pytest.raises(OutcomeUnknown):
        database.commit(Create("things/thing", {"a": 1}))
    assert client.wire.round_trips == 1
    assert database.read("things/thing")[0].exists


@pytest.mark.parametrize("status", REFUSALS, ids=lambda status: status.name)
def test_commit_declined_by_the_server_is_refused(
    client: ObservedClient, database: FirestoreDatabase, status: grpc.StatusCode
) -> None:
    client.wire.commit_faults = [Fault(status)]
    with pytest.raises(CommitRefused):
        database.commit(Create("things/thing", {"a": 1}))


def test_commit_is_atomic(database: FirestoreDatabase) -> None:
    [version] = database.commit(Create("things/thing", {"a": 1}))
    for refused in (Create("things/thing", {}), Update("things/thing", {"a": 2}, datetime(2026, 1, 1, tzinfo=UTC))):
        with pytest.raises(CommitRefused):
            database.commit(Create("things/other", {}), refused)
    with pytest.raises(CommitRefused):
        database.commit(Update("things/none", {"a": 2}, version))
    thing, other, nothing = database.read("things/thing", "things/other", "things/none")
    assert (thing.data, other.exists, nothing.exists) == ({"a": 1}, False, False)


@pytest.mark.parametrize("applied", [False, True], ids=["before it arrived", "after it was applied"])
@pytest.mark.parametrize("fails", [False, True], ids=["completed", "refunded"])
@pytest.mark.parametrize("commit", [0, 1], ids=["reserve", "settle"])
def test_lost_connection_during_a_commit_loses_no_credit(
    api: Api, client: ObservedClient, add_user: AddUser, commit: int, fails: bool, applied: bool
) -> None:
    """The connection breaks below the official client. The other tests of lost commits break it at the port."""
    add_user(paid=10)
    set_models(client, failureRate=int(fails))
    client.wire.commit_faults = [None] * commit + [Fault(grpc.StatusCode.UNAVAILABLE, applied=applied)]
    answer = api.call("createGenerationRequest", ORDER)
    assert answer.status_code == (503 if fails else 200)
    assert client.wire.commit_faults == []
    assert api.result("getUserCredits", {"userId": "user"})["currentCredits"] == (10 if fails else 7)


def test_unreachable_database_raises_within_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    """The official client would retry for up to five minutes."""
    [port] = free_ports(1)
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", f"127.0.0.1:{port}")
    nowhere = FirestoreDatabase(ObservedClient("demo-nowhere"), timeout_seconds=0.3, totals_timeout_seconds=0.3)
    with pytest.raises(DatabaseUnavailable):
        nowhere.read("users/user")
    with pytest.raises(DatabaseUnavailable):
        nowhere.find(Query("models"))
    with pytest.raises(DatabaseUnavailable):
        nowhere.totals(Sum(Query("models"), ("order",)))
    with pytest.raises(OutcomeUnknown):
        nowhere.commit(Create("users/user", {}))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_sum_that_is_not_a_number_is_logged_and_counts_as_0(
    client: ObservedClient, database: FirestoreDatabase, caplog: pytest.LogCaptureFixture, value: float
) -> None:
    database.commit(Create("things/thing", {"size": 2}), Create("things/odd", {"size": value}))
    assert database.totals(Sum(Query("things"), ("size",))) == [Totals(2, (0,))]
    [record] = caplog.records
    assert (record.message, vars(record)["fields"]) == ("DOCUMENT_UNREADABLE", {"path": "things", "field": "size"})


@pytest.mark.parametrize(("value", "sum"), [(1e300, SUM_MAX), (-(2**62), -SUM_MAX)])
def test_sum_that_is_absurd_is_logged_and_limited(
    client: ObservedClient, database: FirestoreDatabase, caplog: pytest.LogCaptureFixture, value: float, sum: int
) -> None:
    database.commit(Create("things/thing", {"size": 2}), Create("things/odd", {"size": value}))
    assert database.totals(Sum(Query("things"), ("size",))) == [Totals(2, (sum,))]
    assert [record.message for record in caplog.records] == ["DOCUMENT_UNREADABLE"]


def test_several_totals_have_the_same_read_time(client: ObservedClient, database: FirestoreDatabase) -> None:
    database.commit(Create("things/thing", {"size": 2}))
    client.wire.reset()
    question = Sum(Query("things"), ("size",))
    assert database.totals(question, question, question) == [Totals(1, (2,))] * 3
    moments = [request.read_time for method, request in client.wire.calls if method == "RunAggregationQuery"]
    assert moments[1] == moments[2]
    assert moments[1] is not None


def test_document_is_stored_and_read_back_with_all_types(client: ObservedClient, database: FirestoreDatabase) -> None:
    data: dict[str, Any] = {
        "nothing": None,
        "flag": True,
        "number": 2**63 - 1,
        "share": 0.05,
        "text": "狐 \U0001f98a",
        "bytes": b"\x00\xff",
        "at": datetime(2026, 11, 9, 12, 30, 15, 123_456, tzinfo=UTC),
        "map": {"empty": {}, "2026-W46": {"a.b": [1, None, {"inner": []}]}},
        "list": ["a", 1, {}],
    }
    [version] = database.commit(Create("things/thing", data))
    assert database.read("things/thing") == [Snapshot("things/thing", data, version)]
    assert client.document("things/thing").get().to_dict() == data
    database.commit(Update("things/thing", {"map.`2026-W46`.`a.b`": {}, "map.new": 2, "list": []}, version))
    [updated] = database.read("things/thing")
    changed = {"empty": {}, "2026-W46": {"a.b": {}}, "new": 2}
    assert updated.data == client.document("things/thing").get().to_dict() == {**data, "map": changed, "list": []}


def test_document_with_a_value_that_the_library_cannot_decode_is_read_like_the_others(
    client: ObservedClient, database: FirestoreDatabase
) -> None:
    foreign = "projects/other/databases/(default)/documents/users/user"
    for number, fields in enumerate(
        [
            {"owner": Value(reference_value=foreign)},
            {"owners": Value(array_value=ArrayValue(values=[Value(reference_value=foreign)]))},
            {"owner": Value(reference_value=f"{client._database_string}/documents/users/user")},
        ]
    ):
        name = f"{client._database_string}/documents/things/{number}"
        client._firestore_api.commit(
            {"database": client._database_string, "writes": [{"update": Document(name=name, fields=fields)}]}
        )
    database.commit(Create("things/good", {"a": 1}))
    found = [thing.data for thing in database.find(Query("things"))]
    assert found == [
        {"owner": foreign},
        {"owners": [foreign]},
        {"owner": client.document("users/user")},
        {"a": 1},
    ]


def test_several_totals_are_in_the_order_of_their_queries(client: ObservedClient, database: FirestoreDatabase) -> None:
    database.commit(*(Create(f"things/{size}", {"size": size}) for size in range(20)))
    sums = [Sum(Query("things", (Where("size", "<", size),)), ("size",)) for size in range(1, 20)]
    assert database.totals(*sums) == [Totals(size, (sum(range(size)),)) for size in range(1, 20)]


REFUNDS = Where("type", "==", "refund")
LATEST = NOON + timedelta(hours=32)
BETWEEN = (Where("timestamp", ">=", NOON), Where("timestamp", "<", LATEST))


@pytest.mark.parametrize(
    "where",
    [
        (REFUNDS, *BETWEEN),
        (REFUNDS, Where("timestamp", "<", LATEST), Where("timestamp", ">=", NOON)),
        (Where("type", "in", ("grant", "refund")), *BETWEEN),
    ],
)
def test_count_that_takes_too_long_is_divided(
    client: ObservedClient, database: FirestoreDatabase, where: tuple[Where, ...]
) -> None:
    times = [NOON + timedelta(hours=hour) for hour in [*range(32), 5, 5]]
    entries = [{"type": "refund", "timestamp": time, "credits": 2} for time in times]
    database.commit(*(Create(f"users/u/{LEDGER}/{number}", entry) for number, entry in enumerate(entries)))
    client.wire.largest_count = 4
    client.wire.reset()
    few = Query(LEDGER, (REFUNDS, Where("timestamp", ">=", LATEST - timedelta(hours=4))), collection_group=True)
    divided = Query(LEDGER, where, collection_group=True)
    assert database.totals(Sum(divided, ("credits",)), Sum(few, ("credits",))) == [
        Totals(34, (68,)),
        Totals(4, (8,)),
    ]
    moments = [request.read_time for method, request in client.wire.calls if method == "RunAggregationQuery"]
    assert 1 + 2 + 4 + 8 + 1 < len(moments) < 40
    assert len({str(moment) for moment in moments}) == 2  # none before the first answer, and its time after it


@pytest.mark.parametrize(
    "where",
    [
        (Where("day", "in", tuple(f"2026-11-{number:02}" for number in range(9, 16))),),
        (Where("day", ">=", "2026-11-09"), Where("day", "<", "2026-11-16")),
    ],
    ids=["list", "range"],
)
def test_count_of_days_is_divided(
    client: ObservedClient, database: FirestoreDatabase, where: tuple[Where, ...]
) -> None:
    days = [f"2026-11-{number:02}" for number in range(9, 16)]
    database.commit(*(Create(f"{REQUESTS}/{day}", {"day": day}) for day in days))
    client.wire.largest_count = 1
    assert database.totals(Sum(Query(REQUESTS, where))) == [Totals(7)]


def test_count_is_divided_a_limited_number_of_times(client: ObservedClient, database: FirestoreDatabase) -> None:
    database.commit(Create(f"users/u/{LEDGER}/1", {"type": "refund", "timestamp": NOON, "credits": 2}))
    client.wire.largest_count = 0
    for where, queries in (((REFUNDS, Where("timestamp", "<", LATEST)), 1), ((REFUNDS, *BETWEEN), 1 + MAX_HALVINGS)):
        client.wire.reset()
        with pytest.raises(DatabaseUnavailable):
            database.totals(Sum(Query(LEDGER, where, collection_group=True), ("credits",)))
        assert queries <= client.wire.round_trips <= 2 * queries
    limited = Query(REQUESTS, (Where("day", "in", ("2026-11-09", "2026-11-10")),), limit=1)
    assert limited.halves() is None  # two halves would count up to two documents
    assert Query(REQUESTS, (Where("day", ">=", "a"), Where("day", "<", "c"))).halves() is None
