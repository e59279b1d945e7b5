"""Checks the answers to calls, and the changes in the database, against the API's contract."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from jsonschema import Draft202012Validator

from imagegen.documents.accounts import LEDGER, TRIAL_CLAIMS, entry_path, grant_path, user_path
from imagegen.documents.api_keys import api_key_path, key_ring_path
from imagegen.documents.generations import request_path
from imagegen.documents.keys import server_keys_path
from imagegen.documents.receivers import RECEIVERS, SENDING
from imagegen.documents.secrets import webhook_secret_path
from imagegen.documents.webhooks import delivery_path
from imagegen.domain.generation import Mode
from imagegen.domain.weeks import Week
from imagegen.reports.documents import report_path
from imagegen.reports.usage import usage_path
from imagegen.services.credits.accounts import TRIAL_CLAIM_KEYS, WELCOME_GRANT
from imagegen.services.generations.queue import TICKET_KEYS

REFUNDED = {
    "GENERATION_FAILED",
    "GENERATION_TIMEOUT",
    "CONTENT_REFUSED",
    "MODEL_UNAVAILABLE",
    "IMAGE_NOT_STORED",
    "ABANDONED",
    "CANCELED",
}
"""The reasons of errors after which the credits were refunded."""

INTERNALS = re.compile(r"Traceback|site-packages|[\w/]+\.py\b|/(?:home|root|tmp|usr|work|workspace|srv)/\w|File \"")
"""Text that an answer must not contain: stack traces, source files and paths."""

Body = dict[str, Any]


@dataclass(frozen=True)
class Answer:
    """A call to a function and the answer to it. ``caller`` is the id of the signed-in user, or None."""

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
        """The call's data, or an empty dict if the body cannot be parsed."""
        try:
            match json.loads(self.sent):
                case {"data": dict(data)}:
                    return data
        except ValueError:
            pass
        return {}

    @property
    def result(self) -> Body | None:
        """The result, or None for an error."""
        return self.body["result"] if self.status == 200 else None

    @property
    def details(self) -> Body:
        """The ``details`` of an error, or an empty dict."""
        match self.body:
            case {"error": {"details": dict(details)}}:
                return details
        return {}

    @property
    def result_or_details(self) -> Body:
        """The result or the error details."""
        return self.result or self.details

    @property
    def refused(self) -> bool:
        """True if the call must not have changed anything."""
        return self.status != 200 and self.details.get("reason") not in REFUNDED


class Contract:
    """Validates calls and answers with the schemas of the OpenAPI document."""

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

    def allows(self, answer: Answer) -> bool:
        """Return True if the call matches the document."""
        try:
            return self._requests[answer.function].is_valid(json.loads(answer.sent, object_hook=_without_long_form))
        except ValueError:
            return False

    def problems(self, answer: Answer) -> list[str]:
        """Return all violations of the contract by an answer to a POST request."""
        found = []
        validator = self._responses.get((answer.function, answer.status))
        if validator is None:
            found.append("an undocumented status")
        else:
            found += [f"{error.json_path}: {error.message[:200]}" for error in validator.iter_errors(answer.body)]
        found += leaks(answer)
        if answer.status == 200 and not self.allows(answer):
            found.append("accepted, although the document forbids it")
        return found


def leaks(answer: Answer) -> list[str]:
    """Return the signs of a crash or of the backend's internals in an answer to any request."""
    found = []
    if answer.status >= 500 and answer.details.get("reason") in (None, "INTERNAL"):
        found.append("a crash")
    if INTERNALS.search(answer.text):
        found.append("internals of the backend")
    return found


_LONG_FORM = re.compile(r"type\.googleapis\.com/google\.protobuf\.U?Int64Value")


def _without_long_form(value: Body) -> Any:
    """Return the integer for a long integer of the callable protocol, and any other value unchanged."""
    match value:
        case {"@type": str(form), "value": str(digits)} if _LONG_FORM.fullmatch(form) and digits.isdecimal():
            return int(digits[:20])
    return value


# Changes in the database

WITH_WEBHOOKS = {
    "createGenerationRequest",
    "cancelGenerationRequest",
    "resendWebhook",
    "getWebhookSecret",
    "createWebhookEndpoint",
    "deleteWebhookEndpoint",
    "rotateWebhookEndpointSecret",
}

State = Mapping[str, Any]
"""The time of each document's last write, by path."""


def unexplained(before: State, after: State, answers: Iterable[Answer]) -> set[str]:
    """Return the paths of changed and deleted documents that no answer explains."""
    changed = {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)}
    accepted = [answer for answer in answers if not answer.refused]
    explained = {path for answer in accepted for path in _written_paths(answer)}
    entries = {id for answer in accepted for id in _entry_ids(answer)}
    if any(answer.function == "registerUser" for answer in accepted):  # the ids of claims are keyed hashes
        explained |= {path for path in changed - before.keys() if path.startswith(f"{TRIAL_CLAIMS}/")}
    if any(answer.function in WITH_WEBHOOKS for answer in accepted):  # the state of receivers, and of their users
        explained |= {path for path in changed if path.startswith((f"{RECEIVERS}/", f"{SENDING}/"))}
    for path in changed & after.keys():
        account, _, entry = path.partition(f"/{LEDGER}/")
        if entry in entries:
            explained |= {path, account}
    return changed - explained


def _written_paths(answer: Answer) -> set[str]:
    """Return the paths of the documents, except ledgers, that an accepted call or its webhooks write."""
    answered = answer.result_or_details
    match answer.function:
        case "createGenerationRequest":
            request_id, status = answered["generationRequestId"], "completed" if answer.result else "failed"
            webhooks = {delivery_path(f"{request_id}-{status}")} if answer.data.get("webhookUrl") is not None else set()
            keys = {server_keys_path(TICKET_KEYS)} if answer.data.get("mode") == Mode.ASYNC else set()
            return {request_path(request_id), *webhooks, *keys}
        case "cancelGenerationRequest":
            request_id = answered["generationRequestId"]
            return {request_path(request_id), delivery_path(f"{request_id}-canceled")}
        case "resendWebhook":
            return {delivery_path(answered["deliveryId"])}
        case "createWebhookEndpoint":
            user_id = str(answer.data.get("userId") or answer.caller)
            return {webhook_secret_path(user_id), user_path(user_id)}
        case "createApiKey":
            user_id = str(answer.data.get("userId") or answer.caller)
            return {api_key_path(answered["keyId"]), key_ring_path(user_id)}
        case "getWebhookSecret":
            return {webhook_secret_path(str(answer.data.get("userId") or answer.caller))}
        case "registerUser":
            return {
                user_path(answered["userId"]),
                entry_path(answered["userId"], WELCOME_GRANT),
                server_keys_path(TRIAL_CLAIM_KEYS),
            }
        case "grantCredits":
            return {grant_path(answered["transactionId"].removeprefix("grant-"))}
        case "runWeeklyReport":
            week = Week.parse(answered["report"]["week"])
            return {report_path(week), *map(usage_path, week.days)}
    return set()


def _entry_ids(answer: Answer) -> set[str]:
    """Return the ids of the ledger entries that an accepted call writes."""
    answered = answer.result_or_details
    match answer.function:
        case "createGenerationRequest":
            kinds = ["deduction"] if answer.result else ["deduction", "refund"]
            return {f"{answered['generationRequestId']}-{kind}" for kind in kinds}
        case "cancelGenerationRequest":
            return {f"{answered['generationRequestId']}-refund"}
        case "grantCredits":
            return {answered["transactionId"]}
    return set()
