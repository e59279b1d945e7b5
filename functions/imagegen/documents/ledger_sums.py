"""Queries for the credits of all users' ledger entries, which the server sums."""

from collections.abc import Sequence
from datetime import UTC, datetime

from imagegen.documents.accounts import LEDGER
from imagegen.domain.ledger import EntryType
from imagegen.ports.database import Query, Sum, Where

ADDING = tuple(type for type in EntryType if type.sign > 0)
TAKING = tuple(type for type in EntryType if type.sign < 0)

BEGINNING = datetime(2024, 1, 1, tzinfo=UTC)
"""Earlier than every ledger entry. A range with two ends can be divided if its count takes too long."""


def credits_of_entries(types: Sequence[EntryType], *period: Where) -> Sum:
    """Return the query for the credits of all users' entries of these types in a period."""
    of_types = Where("type", "in", tuple(type.value for type in types))
    return Sum(Query(LEDGER, (of_types, *period), collection_group=True), ("credits",))
