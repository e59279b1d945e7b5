"""Finds the indexes that a query needs in production. The emulator serves every query without an index.

The rules: https://firebase.google.com/docs/firestore/query-data/index-overview and, for sums,
https://firebase.google.com/docs/firestore/query-data/aggregation-queries#limitations
"""

import json
from dataclasses import dataclass
from pathlib import Path

from google.cloud.firestore_v1.types import StructuredQuery

from tools.emulators.project import ROOT


@dataclass(frozen=True)
class Need:
    """The fields of a query: filtered by equality, sorted or bounded (with direction), and summed.

    The ``collection`` of a collection group query is ``**/name``. It needs indexes of that scope.
    """

    collection: str
    equal: frozenset[str]
    order: tuple[tuple[str, str], ...] = ()
    sums: frozenset[str] = frozenset()

    @classmethod
    def of(cls, query: StructuredQuery, sums: list[str]) -> "Need":
        [source] = query.from_
        conditions = _conditions(query.where)
        ordered = {by.field.field_path: by.direction.name for by in query.order_by}
        ranges = [path for path, operator in conditions if operator in ("LESS_THAN", "GREATER_THAN_OR_EQUAL")]
        order = {path: ordered.get(path, "ASCENDING") for path in (*ranges, *ordered)}
        return cls(
            f"**/{source.collection_id}" if source.all_descendants else source.collection_id,
            frozenset(path for path, operator in conditions if operator in ("EQUAL", "IN")),
            tuple((path, direction) for path, direction in order.items() if path != "__name__"),
            frozenset(path for path in sums if path not in order),  # an index contains a field once
        )


@dataclass(frozen=True)
class Indexes:
    """The declared composite indexes, the fields without a single-field index, and the parts of those with one."""

    composite: frozenset[tuple[str, tuple[tuple[str, str], ...]]]
    exempt: frozenset[tuple[str, str]]
    single: frozenset[tuple[str, str]]

    @classmethod
    def declared(cls, path: Path = ROOT / "firestore.indexes.json") -> "Indexes":
        data = json.loads(path.read_text("utf-8"))
        return cls(
            frozenset(
                (
                    ("**/" if index["queryScope"] == "COLLECTION_GROUP" else "") + index["collectionGroup"],
                    tuple((field["fieldPath"], field["order"]) for field in index["fields"]),
                )
                for index in data["indexes"]
            ),
            *(
                frozenset(
                    (field["collectionGroup"], field["fieldPath"])
                    for field in data["fieldOverrides"]
                    if bool(field["indexes"]) is indexed
                )
                for indexed in (False, True)
            ),
        )

    def serving(self, need: Need) -> frozenset[str]:
        """Return the indexes that serve the need together, or nothing if Firestore would refuse the query."""
        fields = need.equal | {path for path, _ in need.order} | need.sums
        if len(fields) <= 1 or not (need.order or need.sums):
            # For one field, or only equalities, Firestore merges the automatic single-field indexes.
            exempt = any(
                (need.collection, field.split(".")[0]) in self.exempt and (need.collection, field) not in self.single
                for field in fields
            )
            return frozenset() if exempt else frozenset({"single-field"})
        serving: dict[str, frozenset[str]] = {}
        for collection, index in sorted(self.composite):
            end = len(index) - len(need.order) - len(need.sums)
            equal = frozenset(path for path, _ in index[: max(end, 0)])
            order, sums = index[end : end + len(need.order)], index[end + len(need.order) :]
            if (
                (collection, order) == (need.collection, need.order)
                and equal <= need.equal
                and {path for path, _ in sums} == need.sums
            ):
                fields_in_order = ", ".join(f"{path} {direction}" for path, direction in index)
                serving[f"{collection}: {fields_in_order}"] = equal
        exact = [name for name, equal in serving.items() if equal == need.equal]
        if exact:
            return frozenset(exact)
        # Firestore merges indexes with the same order if they cover all equalities together.
        return frozenset(serving) if frozenset().union(*serving.values()) == need.equal else frozenset()


def _conditions(where: StructuredQuery.Filter) -> list[tuple[str, str]]:
    """Return every filtered field with its operator."""
    if "composite_filter" in where:
        return [condition for part in where.composite_filter.filters for condition in _conditions(part)]
    if "field_filter" in where:
        operator = where.field_filter.op.name
        known = ("EQUAL", "IN", "LESS_THAN", "GREATER_THAN_OR_EQUAL")
        assert operator in known, "teach this file the new kind of condition"
        return [(where.field_filter.field.field_path, operator)]
    return []
