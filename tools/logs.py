"""`make logs REQUEST=…`: prints the life of a request in the running emulators, oldest first.

It joins the functions' log with the times that the request's documents record. Exit codes: 0, or 2 if there is no such
request or the emulators do not run.
"""

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from google.cloud import firestore
from rich.console import Console
from rich.text import Text

from imagegen.api.fields import is_document_id
from imagegen.documents.accounts import ledger_path
from imagegen.documents.generations import request_path
from imagegen.documents.webhooks import DELIVERIES
from imagegen.domain.trace import trace_of
from tools.emulators.client import operator_client
from tools.emulators.log_file import LogFile
from tools.emulators.project import Problem, Project

LABELS, TRACE = "logging.googleapis.com/labels", "logging.googleapis.com/trace"
_HIDDEN = {"event", "severity", "message", "time", "generationRequestId"}
_STYLES = {"WARNING": "yellow", "ERROR": "red"}


@dataclass(frozen=True)
class Moment:
    """A line of the output: a line of the log, or a time that a document records."""

    at: datetime
    source: str
    text: str
    style: str = ""

    def __post_init__(self) -> None:
        if not isinstance(self.at, datetime):
            raise TypeError(f"{self.at!r} is not a time")


def main(arguments: Sequence[str], console: Console) -> int:
    """Print the life of the request whose id is the only argument."""
    try:
        if len(arguments) != 1 or not is_document_id(arguments[0]):
            raise Problem("Name one request: make logs REQUEST=ID")  # noqa: TRY301 - printed below
        project = Project.load(Path.cwd())
        moments, trace = life_of(arguments[0], operator_client(project), LogFile(project.directory))
    except Problem as problem:
        console.print(str(problem), style="red", markup=False, soft_wrap=True)
        return 2
    title = f"Request {arguments[0]}" + (f", trace {trace}" if trace else "")
    console.print(title, style="bold", markup=False, highlight=False, soft_wrap=True)
    for moment in moments:
        time = moment.at.astimezone().isoformat(sep=" ", timespec="milliseconds")
        console.print(
            Text(f"{time}  {moment.source:<8}  ").append(_printable(moment.text), style=moment.style),
            soft_wrap=True,
            highlight=False,
        )
    return 0


def life_of(request_id: str, client: firestore.Client, log: LogFile) -> tuple[list[Moment], str | None]:
    """Return all that is known about a request, oldest first, and the id of its trace. Raises Problem."""
    stored = client.document(request_path(request_id)).get().to_dict()
    logged = list(_logged(request_id, log))
    if stored is None and not logged:
        raise Problem(
            f"There is no request {request_id!r} in the running emulators. `listGenerationRequests` lists the requests "
            "of a user."
        )
    moments = [_moment_of(entry) for entry in logged]
    if stored is not None:
        try:
            moments.extend(_recorded(request_id, stored, client))
        except (KeyError, TypeError, AttributeError) as error:  # the request that you look for may be damaged
            problem = f"{request_path(request_id)} or a document of it cannot be read: {type(error).__name__} {error}"
            moments.append(Moment(datetime.now(UTC), "document", problem, "red"))
    traceparent = (stored or {}).get("traceparent")
    trace = trace_of(traceparent) if isinstance(traceparent, str) else None
    # The times of documents are those before a commit, and the log's those after it.
    return sorted(moments, key=lambda moment: moment.at), None if trace is None else trace.trace_id


def _logged(request_id: str, log: LogFile) -> Iterator[dict[str, Any]]:
    """Yield the lines of the log about a request."""
    try:
        for entry in log.entries():
            if request_id in (entry.get(LABELS, {}).get("generationRequestId"), entry.get("generationRequestId")):
                yield entry
    except FileNotFoundError:
        return  # the emulators were started without `make start`


def _moment_of(entry: Mapping[str, Any]) -> Moment:
    fields = {name: value for name, value in entry.items() if name not in _HIDDEN and "/" not in name}
    attempt = entry.get(LABELS, {}).get("attempt")
    fields |= {"attempt": attempt} if attempt else {}
    _, _, traceback = entry["message"].partition("\n")
    text = _text(entry["event"], fields) + (f"\n{traceback.rstrip()}" if traceback else "")
    return Moment(datetime.fromisoformat(entry["time"]), "log", text, _STYLES.get(entry["severity"], "green"))


def _recorded(request_id: str, stored: Mapping[str, Any], client: firestore.Client) -> Iterator[Moment]:
    """Yield the times that the documents of a request record."""
    path, user = request_path(request_id), stored["userId"]
    options = {name: stored[name] for name in ("mode", "model", "size", "cost")}
    yield Moment(stored["createdAt"], "document", _text(f"{path} created", {"userId": user, **options}))
    if started := stored.get("startedAt"):
        yield Moment(started, "document", f"{path} processing")
    if finished := stored.get("finishedAt"):
        reason = (stored.get("error") or {}).get("reason")
        yield Moment(finished, "document", _text(f"{path} {stored['status']}", {"reason": reason} if reason else {}))
    else:
        yield Moment(stored["leaseExpiresAt"], "document", f"{path} is due for the sweeper, if it has not ended")
    of_request = firestore.FieldFilter("generationRequestId", "==", request_id)
    for entry in client.collection(ledger_path(user)).where(filter=of_request).stream():
        data = entry.to_dict() or {}
        facts = {"credits": data["credits"], "balanceAfter": data["balanceAfter"], "seq": data["seq"]}
        yield Moment(data["timestamp"], "document", _text(f"{ledger_path(user)}/{entry.id}", facts))
    for delivery in client.collection(DELIVERIES).where(filter=of_request).stream():
        data, path = delivery.to_dict() or {}, f"{DELIVERIES}/{delivery.id}"
        yield Moment(data["createdAt"], "document", _text(f"{path} created", {"url": data["url"].partition("?")[0]}))
        for attempt in data["attempts"]:
            facts = {name: attempt[name] for name in ("statusCode", "error") if attempt[name] is not None}
            yield Moment(attempt["at"], "document", _text(f"{path} attempted", facts))


def _printable(text: str) -> str:
    """Return the text without control characters, which a terminal would obey. Lines stay."""
    return "".join(char if char.isprintable() or char == "\n" else ascii(char)[1:-1] for char in text)


def _text(name: str, facts: Mapping[str, Any]) -> str:
    return " ".join([name, *(f"{name}={value}" for name, value in facts.items())])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], Console()))
