"""`make examples`: runs the README's examples on a suite of their own, and writes what they answered into it."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice, zip_longest
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tools.docs.generated_parts import between
from tools.docs.write import README
from tools.emulators.client import operator_client
from tools.emulators.project import ROOT, Project
from tools.emulators.suite import Suite, workspace
from tools.seed import history

EXAMPLE = re.compile(r"```bash\n(?P<command>.*?)```\s*```json\n(?P<answer>.*?)```", re.DOTALL)
REPORT_LINES = 9
"""So much of `make report` is shown: the numbers, and the first anomaly."""

_ID = re.compile(r"[0-9a-f]{32}")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+Z")
_DURATIONS = {"processingTimeMs"}
_TIMEOUT_SECONDS = 120


def here(command: str, suite: Suite) -> str:
    """Return the command for the ports that this suite has instead of those of firebase.json."""
    for name, port in Project.load(ROOT).ports().items():
        command = command.replace(str(port), str(suite.project.ports()[name]))
    return command


@dataclass
class Examples:
    """The examples of a page, run in their order.

    Ids, times and durations differ in every run, so an answer is given with those that the page shows: the same id
    for the same thing throughout. An id that a command names does not vary.
    """

    page: str
    _ids: dict[str, str] = field(default_factory=dict)
    """The ids of this run, and what the page shows for each."""

    def __post_init__(self) -> None:
        commands = "".join(example["command"] for example in EXAMPLE.finditer(self.page))
        self._ids.update({id: id for id in _ID.findall(commands)})

    def answer(self, command: str, shown: str, suite: Suite) -> str:
        """Return the answer to the command, as the page has to show it where it shows ``shown``."""
        given = json.loads(_output(["bash", "-c", here(command, suite)]))
        return json.dumps(self.as_shown(given, json.loads(shown)), indent=2, ensure_ascii=False) + "\n"

    def as_shown(self, given: Any, shown: Any) -> Any:
        """Return a value of an answer with the order, ids, times and durations of what the page shows for it."""
        match given, shown:
            case dict(), dict():
                order = sorted(given, key=lambda key: list(shown).index(key) if key in shown else len(shown))
                same = given.keys() & shown.keys() & _DURATIONS
                return {key: shown[key] if key in same else self.as_shown(given[key], shown.get(key)) for key in order}
            case list(), list():
                return [self.as_shown(one, other) for one, other in zip_longest(given, shown[: len(given)])]
            case str(), str() if _TIME.fullmatch(given) and _TIME.fullmatch(shown):
                return shown
            case str(), str() | None:
                for one, other in zip(_ID.findall(given), _ID.findall(shown or ""), strict=False):
                    if other not in self._ids.values():
                        self._ids.setdefault(one, other)
                return _ID.sub(lambda id: self._ids.get(id[0], id[0]), given)
        return given


def report(directory: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run what `make report` runs, in the project at ``directory``, for a terminal of 80 columns."""
    return subprocess.run(
        [sys.executable, "-m", "tools.report", *arguments],
        cwd=directory,
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'functions'}", "COLUMNS": "80"},
        capture_output=True,
        text=True,
        check=False,
        timeout=_TIMEOUT_SECONDS,
    )


def report_block(printed: str) -> Iterator[str]:
    """Yield the lines of a page that show the beginning of a printed report."""
    yield "```text"
    yield from islice((line.rstrip() for line in printed.strip().splitlines()), REPORT_LINES)
    yield "…"
    yield "```"


def up_to_date(page: str, suite: Suite) -> str:
    """Return the page with the answers of a suite in which nothing was done before."""
    examples = Examples(page)

    def with_answer(match: re.Match[str]) -> str:
        command, shown = match["command"], match["answer"]
        return match[0].removesuffix(f"{shown}```") + f"{examples.answer(command, shown, suite)}```"

    printed = report(suite.project.directory, str(history.weeks()[-1]))
    printed.check_returncode()
    return between(EXAMPLE.sub(with_answer, page), "report", "make examples", report_block(printed.stdout))


def never_failing(suite: Suite) -> None:
    """Let the seeded models never fail, as they do at random."""
    for model in operator_client(suite.project).collection("models").list_documents():
        model.update({"failureRate": 0})


def _output(command: list[str]) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=_TIMEOUT_SECONDS).stdout


def main() -> None:
    with TemporaryDirectory() as directory, Suite(workspace(Path(directory) / "project")) as suite:
        never_failing(suite)
        README.write_text(up_to_date(README.read_text("utf-8"), suite), "utf-8")


if __name__ == "__main__":
    main()
