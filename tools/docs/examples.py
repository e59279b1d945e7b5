"""`make examples`: runs the examples of the docs on new emulators, and writes their answers into the docs.

With a browser, it also takes the picture of the console.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice, zip_longest
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tools import browser
from tools.docs.generated_parts import between
from tools.docs.write import OPERATING, PURCHASES, QUICKSTART, README
from tools.emulators.client import operator_client
from tools.emulators.project import ROOT, Project
from tools.emulators.suite import Suite, workspace
from tools.seed import history

EXAMPLE = re.compile(r"```bash\n(?P<command>.*?)```\s*```json\n(?P<answer>.*?)```", re.DOTALL)
PAGES = (README, QUICKSTART, PURCHASES)
"""The pages with examples, in the order in which they run. A command on both pages runs once."""
CHART = ROOT / "docs" / "report.svg"
REPORT_LINES = 9
"""The number of lines of `make report` to show: the numbers and the first anomaly."""

_ID = re.compile(r"[0-9a-f]{32}")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+Z")
_DURATIONS = {"processingTimeMs", "processing_time_ms"}
_TIMEOUT_SECONDS = 120


def with_ports_of(suite: Suite, command: str) -> str:
    """Return the command with the ports of ``suite`` instead of the ports of firebase.json."""
    return _replaced(_ports_of(suite), command)


def with_shown_ports(suite: Suite, answer: str) -> str:
    """Return the answer with the ports of firebase.json instead of the ports of ``suite``."""
    return _replaced({of_suite: shown for shown, of_suite in _ports_of(suite).items()}, answer)


def _ports_of(suite: Suite) -> dict[str, str]:
    """Return the hosts and ports of ``suite`` by those of firebase.json."""
    return {str(port): str(suite.project.ports()[name]) for name, port in Project.load(ROOT).ports().items()}


def _replaced(ports: dict[str, str], text: str) -> str:
    return re.sub(r"127\.0\.0\.1:\d+", lambda host: ports.get(host[0], host[0]), text)


def shown_answers() -> dict[str, str]:
    """Return the commands of the docs, in order, each with the answer shown.

    Raises ValueError if two pages show different answers to a command.
    """
    answers: dict[str, str] = {}
    for page in PAGES:
        for example in EXAMPLE.finditer(page.read_text("utf-8")):
            if answers.setdefault(example["command"], example["answer"]) != example["answer"]:
                raise ValueError(f"{page} and an earlier page show different answers to: {example['command']}")
    return answers


@dataclass
class Examples:
    """The commands of the docs, run in order.

    Ids, times and durations differ in every run. Each answer is therefore returned with the values that the page
    shows. One id is always replaced by the same id. An id that a command names is not replaced.
    """

    commands: Iterable[str]
    _ids: dict[str, str] = field(default_factory=dict)
    """The ids of this run, each with the id that the page shows for it."""

    def __post_init__(self) -> None:
        self._ids.update({id: id for id in _ID.findall("".join(self.commands))})

    def answer(self, command: str, shown: str, suite: Suite) -> str:
        """Run the command, and return its answer with the ids, times and durations of ``shown``."""
        given = json.loads(with_shown_ports(suite, _output(["bash", "-c", with_ports_of(suite, command)])))
        return json.dumps(self.as_shown(given, json.loads(shown)), indent=2, ensure_ascii=False) + "\n"

    def as_shown(self, given: Any, shown: Any) -> Any:
        """Return a value of an answer with the order, ids, times and durations of ``shown``."""
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
    """Run `make report` in the project at ``directory``, for a terminal of 80 columns."""
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
    """Yield the lines of a page that show the first lines of a printed report."""
    yield "```text"
    yield from islice((line.rstrip() for line in printed.strip().splitlines()), REPORT_LINES)
    yield "…"
    yield "```"


def chart(html: str) -> str:
    """Return the chart of the days from a report's page as a separate SVG file."""
    svg = html.partition('<div class="scroll days">')[2].partition("</div>")[0]
    return svg.replace("<svg ", '<svg style="background: white" ', 1) + "\n"


def write_answers(suite: Suite) -> None:
    """Run the examples on ``suite``, which must be newly started, and write the answers into the docs."""
    earlier = shown_answers()
    examples = Examples(earlier)
    answers = {command: examples.answer(command, answer, suite) for command, answer in earlier.items()}

    def with_answer(match: re.Match[str]) -> str:
        return match[0].removesuffix(f"{match['answer']}```") + f"{answers[match['command']]}```"

    for page in PAGES:
        page.write_text(EXAMPLE.sub(with_answer, page.read_text("utf-8")), "utf-8")


def write_report(suite: Suite) -> None:
    """Write the first lines of the report on the last week of the sample data, and its chart."""
    week = history.weeks()[-1]
    printed = report(suite.project.directory, str(week))
    printed.check_returncode()
    text = between(OPERATING.read_text("utf-8"), "report", "make examples", report_block(printed.stdout))
    OPERATING.write_text(text, "utf-8")
    page = suite.project.directory / ".local" / f"report-{week}.html"
    CHART.write_text(chart(page.read_text("utf-8")), "utf-8")


def stop_failures(suite: Suite) -> None:
    """Set the failure rate of the sample models to zero, so that the answers do not depend on chance."""
    for model in operator_client(suite.project).collection("models").list_documents():
        model.update({"failureRate": 0})


def _output(command: list[str]) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=_TIMEOUT_SECONDS).stdout


def main() -> None:
    with TemporaryDirectory() as directory, Suite(workspace(Path(directory) / "project")) as suite:
        stop_failures(suite)
        write_answers(suite)
        write_report(suite)
        if browser.executable() is None:
            print(f"The picture of the console was not taken: {browser.MISSING}")
        else:
            from tools.docs.picture import write_picture  # the tests of the examples do without Playwright

            write_picture(suite)


if __name__ == "__main__":
    main()
