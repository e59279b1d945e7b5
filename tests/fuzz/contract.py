"""What the API's document and its promises allow: whether an answer to a call, and what it left behind, is right."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from jsonschema import Draft202012Validator

from imagegen.documents.accounts import LEDGER, grant_path, ledger_path, user_path
from imagegen.documents.generations import request_path
from imagegen.documents.webhooks import delivery_path
from imagegen.domain.weeks import Week
from imagegen.reports.documents import report_path
from imagegen.reports.progress import PROGRESS_PATH
from imagegen.services.credits.accounts import WELCOME_GRANT

GIVEN_BACK = {"GENERATION_FAILED", "GENERATION_TIMEOUT", "ABANDONED", "CANCELED"}
"""Errors of calls that took credits and gave them back."""

INSIDE = re.compile(r"Traceback|site-packages|[\w/]+\.py\b|/(?:home|root|tmp|usr|work|workspace|srv)/\w|File \"")
"""What only somebody inside the backend can see."""

Body = dict[str, Any]


@dataclass(frozen=True)
class Answer:
    """A call to a function, as its bytes were sent, and what came back; ``caller`` is who was signed in."""

    function: str
    sent: bytes
    status: int
    text: str
    caller: str | None = None

    @property
    def body(self) -> Any:
        try:
            return json.loads(self.text)
        except ValueError:
            return None

    @property
    def data(self) -> Body:
        """What was sent, where that can be read."""
        try:
            match json.loads(self.sent):
                case {"data": dict(data)}:
                    return data
        except ValueError:
            pass
        return {}

    @property
    def result(self) -> Body | None:
        """The result of a call that was accepted."""
        return self.body["result"] if self.status == 200 else None

    @property
    def details(self) -> Body:
        """What the error of a refused call says for machines."""
        match self.body:
            case {"error": {"details": dict(details)}}:
                return details
        return {}

    @property
    def told(self) -> Body:
        """What it says, whether by a result or by an error."""
        return self.result or self.details

    @property
    def refused(self) -> bool:
        """Whether the call is to have changed nothing."""
        return self.status != 200 and self.details.get("reason") not in GIVEN_BACK


class Contract:
    """The OpenAPI document as a judge."""

    def __init__(self, document: Body) -> None:
        components = {"components": document["components"]}
        self._requests: dict[str, Draft202012Validator] = {}
        self._responses: dict[tuple[str, int], Draft202012Validator] = {}
        for path, methods in document["paths"].items():
            function, operation = path.removeprefix("/"), methods["post"]
            [body] = operation["requestBody"]["content"].values()
            self._requests[function] = Draft202012Validator({**components, **body["schema"]})
            for status, response in operation["responses"].items():
                [body] = response["content"].values()
                self._responses[function, int(status)] = Draft202012Validator({**components, **body["schema"]})

    def takes(self, answer: Answer) -> bool:
        """Whether the document allows what was sent."""
        try:
            return self._requests[answer.function].is_valid(json.loads(answer.sent, object_hook=_without_long_form))
        except ValueError:
            return False

    def problems(self, answer: Answer) -> list[str]:
        """Everything about an answer to a POST that is not as it was promised."""
        found = []
        validator = self._responses.get((answer.function, answer.status))
        if validator is None:
            found.append("an undocumented status")
        else:
            found += [f"{error.json_path}: {error.message[:200]}" for error in validator.iter_errors(answer.body)]
        found += leaks(answer)
        if answer.status == 200 and not self.takes(answer):
            found.append("accepted, although the document forbids it")
        return found


def leaks(answer: Answer) -> list[str]:
    """What no answer to anything may show: that something crashed, or how it is made."""
    found = []
    if answer.status >= 500 and answer.details.get("reason") in (None, "INTERNAL"):
        found.append("a crash")
    if INSIDE.search(answer.text):
        found.append("a look inside")
    return found


def _without_long_form(value: Body) -> Any:
    """An integer, where it is sent as the callable protocol writes long ones."""
    match value:
        case {"@type": "type.googleapis.com/google.protobuf.Int64Value", "value": str(digits)} if digits.isdecimal():
            return int(digits[:20])
    return value


# What is left behind

State = Mapping[str, Any]
"""Each document's path, and when it was last written."""


def unexplained(before: State, after: State, answers: Iterable[Answer]) -> set[str]:
    """The documents that were written, or deleted, without any call having been answered that it did so."""
    changed = {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)}
    accepted = [answer for answer in answers if not answer.refused]
    explained = {path for answer in accepted for path in _documents(answer)}
    entries = {id for answer in accepted for id in _entries(answer)}
    for path in changed & after.keys():
        account, _, entry = path.partition(f"/{LEDGER}/")
        if entry in entries:
            explained |= {path, account}
    return changed - explained


def _documents(answer: Answer) -> set[str]:
    """What an accepted call has written, but for ledgers; a delivery worker may do so later."""
    told = answer.told
    match answer.function:
        case "createGenerationRequest":
            request_id, end = told["generationRequestId"], "completed" if answer.result else "failed"
            webhooks = {delivery_path(f"{request_id}-{end}")} if answer.data.get("webhookUrl") is not None else set()
            return {request_path(request_id), *webhooks}
        case "cancelGenerationRequest":
            request_id = told["generationRequestId"]
            return {request_path(request_id), delivery_path(f"{request_id}-canceled")}
        case "resendWebhook":
            return {delivery_path(told["deliveryId"])}
        case "getWebhookSecret":
            return {user_path(str(answer.data.get("userId") or answer.caller))}
        case "registerUser":
            return {user_path(told["userId"]), f"{ledger_path(told['userId'])}/{WELCOME_GRANT}"}
        case "grantCredits":
            return {grant_path(told["transactionId"].removeprefix("grant-"))}
        case "runWeeklyReport":
            return {report_path(Week.parse(told["report"]["week"])), PROGRESS_PATH}
    return set()


def _entries(answer: Answer) -> set[str]:
    """The ids of the ledger entries that an accepted call has made."""
    told = answer.told
    match answer.function:
        case "createGenerationRequest":
            kinds = ["deduction"] if answer.result else ["deduction", "refund"]
            return {f"{told['generationRequestId']}-{kind}" for kind in kinds}
        case "cancelGenerationRequest":
            return {f"{told['generationRequestId']}-refund"}
        case "grantCredits":
            return {told["transactionId"]}
    return set()
