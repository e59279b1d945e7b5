"""Tests of the log: it says what is known to be safe, and nothing that a caller wrote."""

import ast
import json
import logging
import re
import sys
from typing import Any

import pytest

from imagegen import events, tracing
from imagegen.api import logs
from imagegen.errors import InvalidInput
from imagegen.events import WITHHELD, Event, SafeText
from tools.emulators.project import ROOT

HOSTILE = [
    "a lighthouse at dusk",
    "grace@example.com",
    'it\'s "open"\nand {"severity": "DEBUG"}',
    "狐 in 雪",
    "\\é" * 12,
    "x" * 301,
    "",
]


@pytest.fixture(autouse=True)
def _structured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Write to the structured log as in a deployed function, outside any call."""
    tracing.begin(None)
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", [])
    logs.configure()


def logged(capfd: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """Return the only line of the log."""
    [line] = "".join(capfd.readouterr()).splitlines()
    entry: dict[str, Any] = json.loads(line)
    return entry


def test_event_is_logged_with_its_fields(capfd: pytest.CaptureFixture[str]) -> None:
    events.warning(Event.REQUEST_NOT_SWEPT, generationRequestId="0f3a", attempts=3, seconds=0.5, last=None, ok=True)
    assert logged(capfd) == {
        "severity": "WARNING",
        "message": "REQUEST_NOT_SWEPT generationRequestId=0f3a attempts=3 seconds=0.5 last=None ok=True",
        "event": "REQUEST_NOT_SWEPT",
        "generationRequestId": "0f3a",
        "attempts": 3,
        "seconds": 0.5,
        "last": None,
        "ok": True,
    }


@pytest.mark.parametrize("text", HOSTILE)
def test_text_that_is_not_an_id_is_withheld(capfd: pytest.CaptureFixture[str], text: str) -> None:
    events.error(Event.CALL_FAILED, path=text, inner=[text, {"deep": text}])
    entry = logged(capfd)
    assert (entry["path"], entry["inner"]) == (WITHHELD, [WITHHELD, {"deep": WITHHELD}])
    assert not text or text not in json.dumps(entry, ensure_ascii=False)


def test_text_of_our_own_words_is_logged(capfd: pytest.CaptureFixture[str]) -> None:
    events.error(Event.OPTION_NOT_OFFERED, path="sizes/huge", problems=SafeText("cost: must be 1 or more"))
    assert logged(capfd)["problems"] == "cost: must be 1 or more"


@pytest.mark.parametrize("text", HOSTILE)
def test_library_is_logged_without_its_message(capfd: pytest.CaptureFixture[str], text: str) -> None:
    logging.getLogger("some.library").warning(f"Error validating token: {text}")
    entry = logged(capfd)
    assert (entry["severity"], entry["event"], entry["logger"]) == ("WARNING", "LIBRARY", "some.library")
    assert re.fullmatch(r"test_logs:\d+", entry["place"])
    assert not text or text not in json.dumps(entry, ensure_ascii=False)


def test_traceback_has_the_frames_and_types_of_the_chain_but_no_messages(capfd: pytest.CaptureFixture[str]) -> None:
    prompt = HOSTILE[0]

    def crash(prompt: str) -> None:
        try:
            int(prompt)
        except ValueError as error:
            raise ExceptionGroup(
                prompt, [KeyError(prompt), InvalidInput([{"field": prompt, "message": prompt}])]
            ) from error

    try:
        crash(prompt)
    except ExceptionGroup as group:
        group.add_note(prompt)
        events.exception(Event.PROVIDER_CRASHED, generationRequestId="0f3a")
    entry = logged(capfd)
    assert entry["severity"] == "ERROR"
    first, *rest = entry["message"].splitlines()
    assert first == "PROVIDER_CRASHED generationRequestId=0f3a"
    assert [line for line in rest if not line.startswith(("Traceback", " "))] == [
        "imagegen.errors.InvalidInput",
        "builtins.KeyError",
        "builtins.ValueError",
        "builtins.ExceptionGroup",
    ]
    assert "Traceback (most recent call last):" in rest
    assert "    int(prompt)" in rest
    assert prompt not in json.dumps(entry)


def test_traceback_of_endless_recursion_has_the_innermost_frames(capfd: pytest.CaptureFixture[str]) -> None:
    def recurse(depth: int) -> int:
        return recurse(depth + 1)

    try:
        recurse(0)
    except RecursionError:
        events.exception(Event.CALL_FAILED)
    assert logged(capfd)["message"].count("recurse(depth + 1)") <= logs.FRAMES_MAX


def test_circular_and_long_chains_of_exceptions_end(capfd: pytest.CaptureFixture[str]) -> None:
    first = error = ValueError()
    for _ in range(100):
        error.__cause__ = ValueError()
        error = error.__cause__
    error.__cause__ = first
    try:
        raise first
    except ValueError:
        events.exception(Event.CALL_FAILED)
    assert logged(capfd)["message"].count("Traceback") == logs.EXCEPTIONS_MAX


@pytest.mark.parametrize("unit", ["\\é", "\\\\xe9", "'\"", "狐", "a@a.", "eyJ.", "\n| "])
def test_cost_of_a_line_grows_no_faster_than_its_text(unit: str) -> None:
    """Count the function calls of a line: the interpreter's own steps do not depend on the machine."""

    def calls(length: int) -> int:
        count = 0

        def counted(_frame: object, kind: str, _argument: object) -> None:
            nonlocal count
            count += kind in ("call", "c_call")

        text = unit * length
        sys.setprofile(counted)
        try:
            logging.getLogger("library").warning("about %s", text)
            events.warning(Event.CALL_FAILED, path=text)
        finally:
            sys.setprofile(None)
        return count

    calls(1)  # imports
    assert calls(20_000) <= calls(10) + 10


@pytest.mark.parametrize(
    ("level", "severity"), [(5, "DEBUG"), (20, "INFO"), (25, "INFO"), (30, "WARNING"), (45, "ERROR"), (60, "CRITICAL")]
)
def test_every_level_has_a_severity(level: int, severity: str, capfd: pytest.CaptureFixture[str]) -> None:
    logs.StructuredHandler().handle(logging.LogRecord("library", level, __file__, 1, "a %s", ("fox",), None))
    assert logged(capfd)["severity"] == severity


def test_only_the_log_itself_uses_logging() -> None:
    """Everything else logs events, so no text of a caller can come into the log."""
    package = ROOT / "functions" / "imagegen"
    users = {
        str(path.relative_to(package))
        for path in package.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Import | ast.ImportFrom)
        and "logging" in [getattr(node, "module", None), *(alias.name for alias in node.names)]
    }
    assert users == {"events.py", "api/logs.py"}
