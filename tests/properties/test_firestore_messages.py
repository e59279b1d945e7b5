"""Compares the conversion of documents with the client library's own."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from google.api_core.datetime_helpers import DatetimeWithNanoseconds
from google.cloud.firestore_v1 import GeoPoint, _helpers
from google.cloud.firestore_v1.types import Document, MapValue, Value
from google.cloud.firestore_v1.vector import Vector
from hypothesis import given
from hypothesis import strategies as st
from proto.datetime_helpers import DatetimeWithNanoseconds as Version  # type: ignore[import-untyped]

from imagegen.adapters.firestore import FirestoreDatabase
from imagegen.adapters.firestore_messages import CommitRequest, add_write, snapshot_of
from imagegen.domain.generation import Status
from imagegen.ports.database import Create, Delete, Put, Query, Replace, Update, Write
from tests.support.canned import CannedClient

ROOT = "projects/demo/databases/(default)/documents/"
NAME = f"{ROOT}things/thing"
AT = DatetimeWithNanoseconds(2026, 11, 9, 12, 30, 15, nanosecond=123_456_789, tzinfo=UTC)  # type: ignore[no-untyped-call]
VERSION = Version(2026, 11, 9, 12, 30, 15, nanosecond=123_456_789, tzinfo=UTC)
"""The library has two classes for times with nanoseconds: one of fields, and one of versions."""
CLIENT = CannedClient({})

# Every type that documents hold. The library rounds times of other centuries to a float's precision.
TIMES = st.datetimes(
    datetime(1970, 1, 1), datetime(2100, 1, 1), timezones=st.sampled_from([UTC, timezone(timedelta(hours=2))])
)
NANOSECONDS = st.builds(
    lambda at, nanosecond: DatetimeWithNanoseconds(  # type: ignore[no-untyped-call]
        *at.timetuple()[:6], nanosecond=nanosecond, tzinfo=UTC
    ),
    TIMES,
    st.integers(0, 999_999_999),
)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False)
    | TEXTS
    | st.binary(max_size=20)
    | TIMES
    | NANOSECONDS
    | st.sampled_from(Status)
)
NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=10).filter(
    lambda name: name != "__type__"
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3), max_leaves=10
)
DATA = st.dictionaries(NAMES, VALUES, max_size=5)
IDENTIFIERS = st.from_regex("[a-z]{1,5}", fullmatch=True)
PATHS = st.lists(IDENTIFIERS | st.sampled_from(["`2026-W46`", "`a.b`", r"`a\\`b`"]), min_size=1, max_size=3)


def message_of(write: Write) -> Any:
    request = CommitRequest()
    add_write(request, ROOT, write)
    [message] = request.writes
    return message


@given(data=DATA)
def test_created_document_is_the_librarys(data: dict[str, Any]) -> None:
    [expected] = _helpers.pbs_for_create(NAME, data)
    assert message_of(Create("things/thing", data)) == expected._pb


@given(data=DATA)
def test_put_document_is_the_librarys(data: dict[str, Any]) -> None:
    [expected] = _helpers.pbs_for_set_no_merge(NAME, data)
    assert message_of(Put("things/thing", data)) == expected._pb


@given(data=DATA)
def test_replaced_document_is_the_librarys(data: dict[str, Any]) -> None:
    [expected] = _helpers.pbs_for_set_no_merge(NAME, data)
    expected.current_document.update_time = VERSION
    assert message_of(Replace("things/thing", data, VERSION)) == expected._pb


@pytest.mark.parametrize("version", [None, VERSION])
def test_deletion_is_the_librarys(version: datetime | None) -> None:
    option = None if version is None else CLIENT.write_option(last_update_time=version)
    assert message_of(Delete("things/thing", version)) == _helpers.pb_for_delete(NAME, option)._pb


def not_nested(paths: Mapping[str, Any]) -> bool:
    return not any(longer.startswith(f"{path}.") for path in paths for longer in paths)


@given(fields=st.dictionaries(PATHS.map(".".join), VALUES, min_size=1, max_size=5).filter(not_nested))
def test_updated_fields_are_the_librarys(fields: dict[str, Any]) -> None:
    [expected] = _helpers.pbs_for_update(NAME, fields, CLIENT.write_option(last_update_time=VERSION))
    message = message_of(Update("things/thing", fields, VERSION))
    assert sorted(message.update_mask.field_paths) == sorted(expected.update_mask.field_paths)
    message.update_mask.CopyFrom(expected._pb.update_mask)  # its order has no meaning
    assert message == expected._pb


@given(data=DATA)
def test_document_is_read_as_the_library_reads_it(data: dict[str, Any]) -> None:
    document = Document(name=NAME, fields=_helpers.encode_dict(data), update_time=VERSION)
    read = snapshot_of(document._pb, ROOT, CLIENT)
    assert (read.path, read.version, read.data) == (
        "things/thing",
        VERSION,
        _helpers.decode_dict(document.fields, CLIENT),
    )


def test_nanoseconds_are_kept() -> None:
    """A version that lost its nanoseconds would never match."""
    document = Document(name=NAME, fields=_helpers.encode_dict({"at": AT}), update_time=VERSION)
    read = snapshot_of(document._pb, ROOT, CLIENT)
    assert [at.nanosecond for at in (read.data["at"], read.version)] == [123_456_789] * 2  # type: ignore[union-attr]
    updated = message_of(Update("things/thing", {"at": read.data["at"]}, read.version or VERSION))
    assert updated.current_document.update_time.nanos == 123_456_789
    assert updated.update.fields["at"].timestamp_value.nanos == 123_456_789


def test_types_that_the_backend_does_not_write_are_read_as_the_library_reads_them() -> None:
    values = {
        "place": GeoPoint(52.5, 13.4),
        "vector": Vector([1.0, 2.0]),
        "another": CLIENT.document("things/other"),
        "inside": [{"place": GeoPoint(0.0, 0.0)}],
    }
    document = Document(name=NAME, fields=_helpers.encode_dict(values), update_time=VERSION)
    assert snapshot_of(document._pb, ROOT, CLIENT).data == _helpers.decode_dict(document.fields, CLIENT)


def test_values_that_the_library_cannot_decode_stop_no_other_value() -> None:
    fields = {
        "elsewhere": Value(reference_value="projects/other/databases/(default)/documents/things/thing"),
        "vector": Value(map_value=MapValue(fields={"__type__": Value(string_value="__vector__")})),
        "nothing": Value(),
        "text": Value(string_value="a"),
    }
    document = Document(name=NAME, fields=fields, update_time=VERSION)
    assert snapshot_of(document._pb, ROOT, CLIENT).data == {
        "elsewhere": "projects/other/databases/(default)/documents/things/thing",
        "vector": None,
        "nothing": None,
        "text": "a",
    }


@pytest.mark.parametrize("value", [object(), {1, 2}, 2**63])
def test_value_that_no_document_holds_is_refused(value: object) -> None:
    with pytest.raises((TypeError, ValueError)):
        message_of(Create("things/thing", {"value": value}))


def test_metadata_are_the_librarys() -> None:
    """Google's servers route a call by its metadata."""
    client = CannedClient({"users/user/creditTransactions/entry": {"seq": 1}})
    client.document("users/user").get()
    client.document("users/user").set({"a": 1})
    list(client.collection("users/user/creditTransactions").stream())
    expected = dict(client.metadata)
    assert len(expected) == 3
    client.metadata.clear()
    database = FirestoreDatabase(client)
    database.read("users/user")
    database.commit(Put("users/user", {"a": 1}))
    assert database.find(Query("users/user/creditTransactions")) != []
    assert client.metadata == expected
