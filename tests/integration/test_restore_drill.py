"""Tests of `make restore-drill`: a copy is audited, and compared with what was exported."""

from typing import Any

import pytest

from tests.support.api import Api
from tests.support.backend import AddUser
from tests.support.orders import ORDER
from tests.support.wire import ObservedClient
from tools import restore_drill
from tools.restore_drill import Head


def test_copy_has_the_chains_of_the_source_and_the_findings_of_the_audit(
    client: ObservedClient, firestore_host: str, request_ids: dict[str, Any]
) -> None:
    assert restore_drill.rehearse(client, firestore_host) == (1, [], [])


@pytest.mark.parametrize(
    ("edit", "problem"),
    [
        (Head(2, "0" * 64), "The copy of user has another entry 2, or none."),
        (Head(9, "0" * 64), "The copy of user has another entry 9, or none."),
    ],
)
def test_copy_with_another_chain_is_found(
    client: ObservedClient, api: Api, add_user: AddUser, edit: Head, problem: str
) -> None:
    """The client stands for the copy."""
    add_user(paid=10)
    before = dict(restore_drill.heads_of(client))
    assert list(restore_drill.differences(before, client)) == []
    api.result("createGenerationRequest", ORDER)
    assert list(restore_drill.differences(before, client)) == [], "the source may be in use"
    assert list(restore_drill.differences({"user": edit}, client)) == [problem]
    assert list(restore_drill.differences({"nobody": edit}, client)) == ["The copy has no user nobody."]
