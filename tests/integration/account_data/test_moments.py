"""Tests that a moment at the end of the calendar, in any one document, stops nothing else."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.support.account_data import Account
from tests.support.accounts import Accounts
from tests.support.console import as_admin

END_OF_CALENDAR = datetime(9999, 12, 31, 12, tzinfo=UTC)
LISTS = (
    "listGenerationRequests",
    "listPurchases",
    "listWebhookDeliveries",
    "listWebhookEndpoints",
    "listApiKeys",
    "listCreditTransactions",
)


def moved(value: Any) -> Iterator[Any]:
    """Yield copies of a value, each with one of its moments at the end of the calendar."""
    match value:
        case datetime():
            yield END_OF_CALENDAR
        case dict():
            yield from ({**value, name: other} for name, inner in value.items() for other in moved(inner))
        case list():
            yield from (
                [*value[:number], other, *value[number + 1 :]]
                for number, inner in enumerate(value)
                for other in moved(inner)
            )


@pytest.mark.parametrize("is_deleted", [False, True], ids=["used", "deleted"])
def test_moment_at_the_end_of_the_calendar_stops_no_list_sweep_or_audit(
    account: Account, accounts: Accounts, is_deleted: bool
) -> None:
    if is_deleted:
        account.delete()
    database = account.database
    documents = [document for found in database.collections.values() for document in found.values()]
    changes = [(document, data) for document in documents for data in moved(dict(document.data))]
    assert len(changes) > 30
    for document, data in changes:
        before = {name: dict(found) for name, found in database.collections.items()}
        database.edit(document.path, **data)
        for function in () if is_deleted else LISTS:
            account.call(function)
        as_admin(account.api, "findPurchases", status="open")
        as_admin(account.api, "findUsers")
        as_admin(account.api, "getOperations")
        account.sweep(timedelta(minutes=20))
        account.findings()
        account.backend.daily_audit.run(account.clock.at)
        database.collections.clear()
        database.collections.update(before)
