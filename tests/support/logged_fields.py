"""Finds the fields that the code logs with each event."""

import ast
from collections import defaultdict
from functools import cache

from imagegen.events import Event
from tools.emulators.project import ROOT

LEVELS = ("info", "warning", "error", "exception")


@cache
def logged_fields() -> dict[str, set[str]]:
    """Return the fields of each event, from all calls of ``imagegen.events``.

    A call whose event is a variable logs each of the events of its module.
    """
    fields: dict[str, set[str]] = defaultdict(set)
    for path in (ROOT / "functions" / "imagegen").rglob("*.py"):
        tree = ast.parse(path.read_text("utf-8"))
        named = {
            node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute) and node.attr in Event.__members__
        }
        for node in ast.walk(tree):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in LEVELS):
                continue
            if not (isinstance(node.func.value, ast.Name) and node.func.value.id == "events"):
                continue
            event = node.args[0]
            is_named = isinstance(event, ast.Attribute) and event.attr in Event.__members__
            for name in {event.attr} if is_named else named:  # type: ignore[attr-defined]
                fields[name] |= {keyword.arg for keyword in node.keywords if keyword.arg}
    return fields
