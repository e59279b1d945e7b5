"""Compares two versions of a weekly report's document."""

from collections.abc import Mapping
from datetime import datetime
from math import isfinite
from typing import Any

from imagegen.ports.database import Data
from imagegen.reports.model import Revision

FIGURES = ("total", "users", "processing", "paidFrom", "reconciliation")
"""The parts of a report whose changed numbers are listed. Of other parts, only the name is listed."""

NOT_REVISED = ("schemaVersion", "generatedAt", "revisions")


def revision(before: Data, after: Data, at: datetime) -> Revision | None:
    """Return the changes from document ``before`` to document ``after``, or None if there are none."""
    parts = [name for name in after if name not in NOT_REVISED and before.get(name) != after[name]]
    figures = {
        name: (old, new)
        for part in FIGURES
        if part in parts
        for name, (old, new) in _numbers(part, before.get(part), after[part] or {}).items()
        if old != new
    }
    return Revision(at, figures, [part for part in parts if part not in FIGURES]) if parts else None


def _numbers(path: str, before: Any, after: Data) -> dict[str, tuple[Any, Any]]:
    """Return every number of two maps of the same form, as pairs by path. A value of another kind counts as missing."""
    before = before if isinstance(before, Mapping) else {}
    found: dict[str, tuple[Any, Any]] = {}
    for name in {**before, **after}:
        old, new = before.get(name), after.get(name)
        if isinstance(new, Mapping):
            found |= _numbers(f"{path}.{name}", old, new)
        else:
            found[f"{path}.{name}"] = (_number(old), _number(new))
    return found


def _number(value: Any) -> float | None:
    return value if type(value) in (int, float) and isfinite(value) else None
