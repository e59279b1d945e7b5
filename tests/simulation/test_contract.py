"""Contract tests of the database port, on the simulation's in-memory store and on the Firestore emulator."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from imagegen.adapters.firestore import FirestoreDatabase
from imagegen.ports.database import (
    CommitRefused,
    Create,
    Data,
    Database,
    Delete,
    Put,
    Query,
    Replace,
    Snapshot,
    Sum,
    Totals,
    Update,
    Version,
    Where,
    Write,
)
from simulation.store import Store
from tests.support.times import NOON

LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture(params=["in-memory", "emulator"])
def database(request: pytest.FixtureRequest) -> Database:
    if request.param == "in-memory":
        return Store()
    return FirestoreDatabase(request.getfixturevalue("client"))


def write(database: Database, path: str, **data: object) -> Version:
    [version] = database.commit(Put(path, data))
    return version


def data(database: Database, path: str) -> Data:
    return database.read(path)[0].data


def ids(documents: Sequence[Snapshot]) -> list[str]:
    return [document.id for document in documents]


# Reads


def test_read_returns_documents_in_order_including_missing_ones(database: Database) -> None:
    version = write(database, "things/b", a=1)
    nothing, thing = database.read("things/a", "things/b")
    assert (nothing.path, nothing.data, nothing.version, nothing.exists) == ("things/a", {}, None, False)
    assert (thing.path, thing.data, thing.version, thing.id) == ("things/b", {"a": 1}, version, "b")


def test_snapshot_does_not_change_with_its_document(database: Database) -> None:
    write(database, "things/a", inner={"x": 1})
    [before] = database.read("things/a")
    assert before.version
    database.commit(Update("things/a", {"inner.x": 2}, before.version))
    assert before.data == {"inner": {"x": 1}}


def test_values_are_read_as_they_were_written(database: Database) -> None:
    values = {
        "n": 1,
        "f": 1.5,
        "s": "ü",
        "b": True,
        "none": None,
        "at": NOON,
        "list": [1, {"x": "y"}],
        "map": {"a.b": 1},
    }
    write(database, "things/a", **values)
    assert data(database, "things/a") == values


def test_written_data_is_a_copy(database: Database) -> None:
    inner = {"x": [1]}
    write(database, "things/a", inner=inner)
    inner["x"].append(2)
    assert data(database, "things/a") == {"inner": {"x": [1]}}


# Commits


def test_versions_increase_and_are_equal_within_a_commit(database: Database) -> None:
    versions = [database.commit(Create(f"things/{n}", {}), Create(f"others/{n}", {})) for n in range(20)]
    assert all(one == other for one, other in versions)
    assert versions == sorted(versions)
    assert len({one for one, _ in versions}) == 20


def test_create_refuses_an_existing_document(database: Database) -> None:
    write(database, "things/a", a=1)
    with pytest.raises(CommitRefused):
        database.commit(Create("things/a", {"a": 2}))
    assert data(database, "things/a") == {"a": 1}


def test_replace_removes_the_other_fields(database: Database) -> None:
    first = write(database, "things/a", a=1, b={"c": 2})
    database.commit(Replace("things/a", {"a": 3}, first))
    assert data(database, "things/a") == {"a": 3}
    with pytest.raises(CommitRefused):
        database.commit(Replace("things/a", {"a": 4}, first))
    with pytest.raises(CommitRefused):
        database.commit(Replace("things/missing", {"a": 4}, LONG_AGO))
    assert data(database, "things/a") == {"a": 3}


def test_delete_removes_a_document_which_may_be_missing(database: Database) -> None:
    first = write(database, "things/a", a=1)
    second = write(database, "things/a", a=2)
    with pytest.raises(CommitRefused):
        database.commit(Delete("things/a", first), Put("things/b", {}))
    assert ids(database.find(Query("things"))) == ["a"]
    database.commit(Delete("things/a", second), Put("things/b", {}))
    database.commit(Delete("things/a"))
    assert ids(database.find(Query("things"))) == ["b"]
    with pytest.raises(CommitRefused):
        database.commit(Update("things/a", {"a": 3}, second))
    with pytest.raises(CommitRefused):
        database.commit(Delete("things/a", second))
    assert not database.read("things/a")[0].exists


def test_update_refuses_another_version(database: Database) -> None:
    first = write(database, "things/a", a=1)
    [second] = database.commit(Update("things/a", {"a": 2}, first))
    for version in (first, LONG_AGO):
        with pytest.raises(CommitRefused):
            database.commit(Update("things/a", {"a": 3}, version))
    with pytest.raises(CommitRefused):
        database.commit(Update("things/missing", {"a": 3}, second))
    assert database.read("things/a") == [Snapshot("things/a", {"a": 2}, second)]


def test_update_replaces_only_the_named_fields(database: Database) -> None:
    version = write(
        database, "things/a", credits={"trial": 1, "paid": 2}, usage={"2026-W45": {"requests": 1}}, other="x"
    )
    changes = {"credits.paid": 5, "usage.`2026-W46`.requests": 1, "ledger.seq": 1, "other": {"y": 1}}
    database.commit(Update("things/a", changes, version))
    assert data(database, "things/a") == {
        "credits": {"trial": 1, "paid": 5},
        "usage": {"2026-W45": {"requests": 1}, "2026-W46": {"requests": 1}},
        "ledger": {"seq": 1},
        "other": {"y": 1},
    }


def test_update_of_a_nested_field_replaces_a_value_with_a_map(database: Database) -> None:
    version = write(database, "things/a", credits=7)
    database.commit(Update("things/a", {"credits.paid": 5}, version))
    assert data(database, "things/a") == {"credits": {"paid": 5}}


def test_put_replaces_the_whole_document(database: Database) -> None:
    write(database, "things/a", a=1)
    write(database, "things/a", b=2)
    assert data(database, "things/a") == {"b": 2}


@pytest.mark.parametrize("order", [1, -1], ids=["refused first", "refused last"])
def test_commit_is_atomic(database: Database, order: int) -> None:
    version = write(database, "things/a", a=1)
    write(database, "things/c", a=1)
    writes: list[Write] = [Create("things/b", {}), Update("things/a", {"a": 2}, version), Create("things/c", {})]
    with pytest.raises(CommitRefused):
        database.commit(*writes[::order])
    thing, nothing = database.read("things/a", "things/b")
    assert (thing.data, thing.version, nothing.exists) == ({"a": 1}, version, False)


def test_update_without_a_change_keeps_the_version(database: Database) -> None:
    version = write(database, "things/a", a=1)
    assert database.commit(Update("things/a", {"a": 1}, version)) == [version]
    assert write(database, "things/a", a=1) == version


# Queries


def test_query_requires_all_conditions(database: Database) -> None:
    write(database, "things/a", kind="x", n=1)
    write(database, "things/b", kind="x", n=2)
    write(database, "things/c", kind="y", n=1)
    write(database, "things/d")
    assert ids(database.find(Query("things"))) == ["a", "b", "c", "d"]
    assert ids(database.find(Query("things", where=(Where("kind", "==", "x"),)))) == ["a", "b"]
    assert ids(database.find(Query("things", where=(Where("kind", "in", ("x", "y")), Where("n", "==", 1))))) == [
        "a",
        "c",
    ]
    assert ids(database.find(Query("things", where=(Where("kind", "==", None),)))) == []
    assert ids(database.find(Query("things", limit=2))) == ["a", "b"]
    assert ids(database.find(Query("nothing"))) == []


def test_less_than_finds_values_of_the_same_type_in_ascending_order(database: Database) -> None:
    lease = "leaseExpiresAt"
    for name, value in {"a": NOON, "b": NOON - timedelta(1), "c": NOON - timedelta(2), "d": None, "e": "soon"}.items():
        write(database, f"generationRequests/{name}", status="processing", **{lease: value})
    write(database, "generationRequests/f", status="completed", **{lease: LONG_AGO})
    write(database, "generationRequests/g", status="processing")
    expired = (Where("status", "==", "processing"), Where(lease, "<", NOON))
    assert ids(database.find(Query("generationRequests", where=expired))) == ["c", "b"]
    assert ids(database.find(Query("generationRequests", where=expired, limit=1))) == ["c"]


def test_greater_or_equal_includes_the_bound(database: Database) -> None:
    for name, value in {"a": 3, "b": 1, "c": 2, "d": 4, "e": None, "f": "2"}.items():
        write(database, f"generationRequests/{name}", week="2026-W46", status="completed", processingMs=value)
    write(database, "generationRequests/g", week="2026-W46", status="failed", processingMs=2)
    write(database, "generationRequests/h", week="2026-W46", status="completed")
    completed = (Where("week", "==", "2026-W46"), Where("status", "==", "completed"))
    at_least_two = (*completed, Where("processingMs", ">=", 2))
    below_four = (*at_least_two, Where("processingMs", "<", 4))
    assert ids(database.find(Query("generationRequests", where=at_least_two))) == ["c", "a", "d"]
    assert ids(database.find(Query("generationRequests", where=below_four))) == ["c", "a"]


def test_order_is_descending_and_skips_documents_without_the_field(database: Database) -> None:
    ledger = "users/ann/creditTransactions"
    for seq in (2, 10, 1, 3):
        write(database, f"{ledger}/{seq}", seq=seq, type="refund" if seq == 3 else "deduction")
    write(database, f"{ledger}/other", type="deduction")
    write(database, "users/bob/creditTransactions/20", seq=20, type="deduction")
    deductions = (Where("type", "in", ("deduction", "grant")),)
    assert ids(database.find(Query(ledger, order_by="seq"))) == ["10", "3", "2", "1"]
    assert ids(database.find(Query(ledger, deductions, order_by="seq", start_after=(10,), limit=1))) == ["2"]
    assert ids(database.find(Query(ledger, deductions, order_by="seq", start_after=(11,)))) == ["10", "2", "1"]


def test_ascending_query_of_a_range_continues_after_a_document(database: Database) -> None:
    for id, lease in (("a", 2), ("b", 1), ("c", 2), ("d", 3), ("e", 9)):
        write(database, f"generationRequests/{id}", status="processing", leaseExpiresAt=lease)
    where = (Where("status", "==", "processing"), Where("leaseExpiresAt", "<", 9))
    expired = Query("generationRequests", where, order_by="leaseExpiresAt", ascending=True)
    assert ids(database.find(expired)) == ["b", "a", "c", "d"]
    assert ids(database.find(replace(expired, start_after=(2, "a"), limit=1))) == ["c"]
    assert ids(database.find(replace(expired, start_after=(2, "c")))) == ["d"]


def test_start_after_uses_the_id_among_equal_values(database: Database) -> None:
    for name, n in {"a": 1, "b": 2, "c": 2, "d": 2, "e": 3}.items():
        write(database, f"generationRequests/{name}", userId="ann", createdAt=n)
    mine = (Where("userId", "==", "ann"),)
    by_age = {"order_by": "createdAt", "where": mine}
    assert ids(database.find(Query("generationRequests", **by_age, start_after=(2, "c")))) == ["b", "a"]  # type: ignore[arg-type]
    assert ids(database.find(Query("generationRequests", **by_age, start_after=(3, "e"), limit=2))) == ["d", "c"]  # type: ignore[arg-type]


def test_range_may_have_two_bounds(database: Database) -> None:
    for n in range(5):
        write(database, f"generationRequests/{n}", userId="ann", createdAt=n)
    between = (Where("userId", "==", "ann"), Where("createdAt", ">=", 1), Where("createdAt", "<", 4))
    assert ids(database.find(Query("generationRequests", between, order_by="createdAt"))) == ["3", "2", "1"]
    assert ids(database.find(Query("generationRequests", between, order_by="createdAt", offset=1, limit=1))) == ["2"]
    assert ids(database.find(Query("generationRequests", between, order_by="createdAt", offset=4))) == []
    newest_two = Query("generationRequests", between, order_by="createdAt", limit=2)
    assert database.totals(Sum(newest_two)) == [Totals(2)]
    assert database.totals(Sum(Query("generationRequests", between, order_by="createdAt"))) == [Totals(3)]


def test_field_path_may_be_nested(database: Database) -> None:
    write(database, "users/ann", usage={"2026-W46": {"creditsDeducted": 3}})
    write(database, "users/bob", usage={"2026-W46": {"creditsDeducted": 8}})
    write(database, "users/eve", usage={"2026-W45": {"creditsDeducted": 9}})
    write(database, "users/joe", usage=0)
    assert ids(database.find(Query("users", order_by="usage.`2026-W46`.creditsDeducted"))) == ["bob", "ann"]


def test_equal_values_are_in_descending_order_of_id(database: Database) -> None:
    for name in ("b", "c", "a"):
        write(database, f"things/{name}", n=1)
    assert ids(database.find(Query("things", order_by="n"))) == ["c", "b", "a"]


def test_totals_count_and_sum_matching_documents(database: Database) -> None:
    for number, status in enumerate(("failed", "failed", "completed"), 1):
        write(database, f"generationRequests/{number}", day="2026-11-09", status=status, cost=number)
    failed = {"day": "2026-11-09", "status": "failed"}
    query = Query("generationRequests", where=tuple(Where(field, "==", value) for field, value in failed.items()))
    assert database.totals(Sum(query, ("cost",)), Sum(Query("generationRequests"), ("cost",))) == [
        Totals(2, (3,)),
        Totals(3, (6,)),
    ]


def test_totals_without_a_field_only_count(database: Database) -> None:
    for number in (1, 2):
        write(database, f"things/{number}", cost=number)
    assert database.totals(Sum(Query("things")), Sum(Query("things"), ("cost",))) == [Totals(2), Totals(2, (3,))]


def test_totals_leave_out_documents_that_lack_a_summed_field(database: Database) -> None:
    whole = {"day": "monday", "hour": 0, "cost": 1, "tally": {"completed": 0, "failed": 1, "refunded": 2}}
    write(database, "generationRequests/whole", **whole)
    write(database, "generationRequests/null", **{**whole, "cost": None})
    write(database, "generationRequests/without-tally", **{**whole, "tally": 7})
    write(database, "generationRequests/without-refunded", **{**whole, "tally": {"completed": 0, "failed": 1}})
    write(database, "generationRequests/without-hour", **{name: whole[name] for name in ("day", "cost", "tally")})
    summed = Where("day", "==", "monday"), Where("hour", ">=", 0), Where("hour", "<", 24)
    fields = ("cost", "tally.completed", "tally.failed", "tally.refunded")
    assert database.totals(
        Sum(Query("generationRequests", summed), fields), Sum(Query("nothing"), ("cost",)), Sum(Query("nothing"))
    ) == [Totals(2, (1, 0, 2, 4)), Totals(0, (0,)), Totals(0)]


def test_totals_of_nothing_are_empty(database: Database) -> None:
    assert database.totals() == []


def test_query_may_be_ordered_by_id(database: Database) -> None:
    for name in ("d", "a", "c", "b"):
        write(database, f"things/{name}", day=1 if name != "c" else 2)
    of_days = Query("things", (Where("day", "in", (1, 2)),), "__name__", ascending=True, limit=2)
    assert ids(database.find(of_days)) == ["a", "b"]
    assert ids(database.find(replace(of_days, start_after=("b",)))) == ["c", "d"]
    of_day = replace(of_days, where=(Where("day", "==", 1),))
    assert ids(database.find(replace(of_day, start_after=("a",)))) == ["b", "d"]


def test_totals_may_cover_a_collection_group(database: Database) -> None:
    for user in ("a", "b"):
        for number in (1, 2):
            at = NOON - timedelta(number)
            write(database, f"users/{user}/creditTransactions/{number}", type="refund", credits=number, timestamp=at)
    early = (Where("type", "==", "refund"), Where("timestamp", "<", NOON - timedelta(1)))
    refunds = Query("creditTransactions", where=early, collection_group=True)
    assert database.totals(Sum(refunds, ("credits",))) == [Totals(2, (4,))]


def test_scan_covers_one_collection_in_order_of_id(database: Database) -> None:
    for name in ("b", "a", "C", "é", "10", "9"):
        write(database, f"users/{name}", n=name)
    write(database, "users/a/creditTransactions/1", n=1)
    assert ids(list(database.scan("users"))) == ["10", "9", "C", "a", "b", "é"]
