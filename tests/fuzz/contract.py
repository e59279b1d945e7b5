"""Checks the answers to calls, and the changes in the database, against the API's contract."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from jsonschema import Draft202012Validator

from imagegen.api.rest.names import with_swapped_names
from imagegen.documents.accounts import LEDGER, TRIAL_CLAIMS, entry_path, grant_path, user_path
from imagegen.documents.api_keys import api_key_path, key_ring_path
from imagegen.documents.generations import request_path
from imagegen.documents.keys import server_keys_path
from imagegen.documents.purchases import purchase_path
from imagegen.documents.receivers import RECEIVERS, SENDING
from imagegen.documents.secrets import webhook_secret_path
from imagegen.documents.webhooks import delivery_path
from imagegen.domain.generation import Mode
from imagegen.domain.weeks import Week
from imagegen.reports.documents import report_path
from imagegen.reports.usage import usage_path
from imagegen.services.credits.accounts import TRIAL_CLAIM_KEYS, WELCOME_GRANT
from imagegen.services.generations.queue import TICKET_KEYS
from tests.support.calls import REST, Call

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
    """A call and the answer to it. ``caller`` is the id of the signed-in user, or None."""

    call: Call
    status: int
    text: str
    content_type: str = "application/json"
    caller: str | None = None

    @property
    def body(self) -> Any:
        try:
            return json.loads(self.text)
        except ValueError:
            return None

    @property
    def data(self) -> Body:
        """The call's data, or an empty dict if the body cannot be parsed. Names are in camelCase."""
        try:
            content = json.loads(self.call.body)
        except ValueError:
            return {}
        match with_swapped_names(content) if self.call.is_rest else content:
            case {"data": dict(data)}:
                return data
            case dict(data) if self.call.is_rest:
                return data
        return {}

    @property
    def result(self) -> Body | None:
        """The result, or None for an error. Names are in camelCase."""
        if self.status not in (200, 201):
            return None
        result: Body = with_swapped_names(self.body) if self.call.is_rest else self.body["result"]
        return result

    @property
    def details(self) -> Body:
        """The ``details`` of an error with its reason, or an empty dict. Names are in camelCase."""
        match self.body:
            case {"error": {"details": dict(details)}}:
                return details
            case {"reason": str(reason), **problem} if self.call.is_rest:
                return {**with_swapped_names(problem.get("details", {})), "reason": reason}
        return {}

    @property
    def result_or_details(self) -> Body:
        """The result or the error details."""
        return self.result or self.details

    @property
    def refused(self) -> bool:
        """True if the call must not have changed anything."""
        return self.status not in (200, 201) and self.details.get("reason") not in REFUNDED


class Contract:
    """Validates calls and answers with the schemas of the OpenAPI documents."""

    def __init__(self, *documents: Body) -> None:
        self.methods: dict[str, str] = {}
        """The method of each operation."""
        self._parameters: dict[str, _Parameters] = {}
        self._requests: dict[str, Draft202012Validator] = {}
        self._responses: dict[tuple[str, int], tuple[str, Draft202012Validator]] = {}
        for document in documents:
            components = {"components": document["components"]}
            for path, methods in document["paths"].items():
                for method, operation in methods.items():
                    name = operation["operationId"]
                    self.methods[name] = method.upper()
                    self._parameters[name] = _Parameters(path, operation.get("parameters", []))
                    [schema] = [body["schema"] for body in _contents(operation)] or [self._parameters[name].schema]
                    self._requests[name] = Draft202012Validator({**components, **schema})
                    for status, response in operation["responses"].items():
                        [(content_type, body)] = response["content"].items()
                        validator = Draft202012Validator({**components, **body["schema"]})
                        self._responses[name, int(status)] = content_type, validator

    def allows(self, answer: Answer) -> bool:
        """Return True if the call matches the document."""
        call = answer.call
        try:
            content = self._parameters[call.operation].sent(call) if call.is_rest else _data_of(call)
        except ValueError:
            return False
        return self._requests[call.operation].is_valid(content)

    def problems(self, answer: Answer) -> list[str]:
        """Return all violations of the contract by an answer to a call with the operation's method."""
        found = leaks(answer)
        if answer.call.is_rest and _is_of_another_path(answer):
            return [*found, "a documented path, not found"] if self.allows(answer) else found
        content_type, validator = self._responses.get((answer.call.operation, answer.status), (None, None))
        if validator is None:
            found.append("an undocumented status")
        else:
            found += [f"{error.json_path}: {error.message[:200]}" for error in validator.iter_errors(answer.body)]
            if content_type != answer.content_type:
                found.append(f"a content type other than {content_type}")
        if answer.status in (200, 201) and not self.allows(answer):
            found.append("accepted, although the document forbids it")
        return found


def _is_of_another_path(answer: Answer) -> bool:
    """Return whether no operation got the call. A path with an invalid parameter may be another path.

    Under a path with a line break, the server itself finds no function.
    """
    is_of_server = "%0A" in answer.call.path and answer.content_type == "text/html"
    return is_of_server or answer.details.get("reason") in {"ROUTE_NOT_FOUND", "METHOD_NOT_ALLOWED"}


def _contents(operation: Body) -> Iterable[Body]:
    contents: Iterable[Body] = operation.get("requestBody", {"content": {}})["content"].values()
    return contents


def _data_of(call: Call) -> Any:
    """Return the body of a call of a function. Raises ValueError."""
    return json.loads(call.body, object_hook=_without_long_form)


class _Parameters:
    """The parameters of an operation of the REST API, in the path or in the query."""

    def __init__(self, path: str, parameters: list[Body]) -> None:
        self._path = re.compile(REST + re.sub("{(.*?)}", "(?P<\\1>[^/]+)", path))
        fields = [parameter for parameter in parameters if parameter.get("in") in ("path", "query")]
        self._schemas: dict[str, Body] = {parameter["name"]: parameter["schema"] for parameter in fields}
        self.schema: Body = {
            "type": "object",
            "properties": self._schemas,
            "required": [parameter["name"] for parameter in fields if parameter["required"]],
            "additionalProperties": False,
        }

    def sent(self, call: Call) -> Body:
        """Return the fields of a call from its path, and from its query or its body. Raises ValueError."""
        url = urlsplit(call.path)
        if (path := self._path.fullmatch(url.path)) is None:
            raise ValueError("another path")
        fields: Body = {name: unquote(value, errors="strict") for name, value in path.groupdict().items()}
        others = parse_qsl(url.query, keep_blank_values=True, errors="strict")
        if call.method == "POST":
            content = json.loads(call.body) if call.body else {}
            if not isinstance(content, dict):
                raise ValueError("not an object")
            others = list(content.items())
        for name, value in others:
            if name in fields:
                raise ValueError("given twice")
            is_integer = call.method == "GET" and self._schemas.get(name, {}).get("type") == "integer"
            fields[name] = int(value) if is_integer else value
        return fields


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
    "cancel_generation_request",
    "resendWebhook",
    "getWebhookSecret",
    "createWebhookEndpoint",
    "deleteWebhookEndpoint",
    "rotateWebhookEndpointSecret",
}

State = Mapping[str, Any]
"""The time of each document's last write, by path."""


def unexplained(
    before: State, after: State, answers: Iterable[Answer], owners: Mapping[str, str | None] = {}
) -> set[str]:
    """Return the paths of changed and deleted documents that no answer explains.

    ``owners`` are the ids of the documents' users, by path.
    """
    changed = {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)}
    accepted = [answer for answer in answers if not answer.refused]
    explained = {path for answer in accepted for path in _written_paths(answer)}
    entries = {id for answer in accepted for id in _entry_ids(answer)}
    if any(answer.call.operation == "registerUser" for answer in accepted):  # the ids of claims are keyed hashes
        explained |= {path for path in changed - before.keys() if path.startswith(f"{TRIAL_CLAIMS}/")}
    if any(answer.call.operation in WITH_WEBHOOKS for answer in accepted):  # the state of receivers, and of their users
        explained |= {path for path in changed if path.startswith((f"{RECEIVERS}/", f"{SENDING}/"))}
    ends = {delivery_path(end) for answer in accepted for end in _ends(answer)}
    for path in changed & after.keys():
        account, _, entry = path.partition(f"/{LEDGER}/")
        if entry in entries:
            explained |= {path, account}
        if path.rpartition("-")[0] in ends:  # a delivery to an endpoint, whose id follows
            explained.add(path)
    deleted = {answer.result_or_details["userId"] for answer in accepted if answer.call.operation == "deleteAccount"}
    explained |= {path for path in changed if deleted & {owners.get(path), *path.split("/")}}
    return changed - explained


def _written_paths(answer: Answer) -> set[str]:
    """Return the paths of the documents, except ledgers, that an accepted call or its webhooks write."""
    answered = answer.result_or_details
    match answer.call.operation:
        case "createGenerationRequest" | "create_generation":
            request_id = answered["generationRequestId"]
            webhooks = {*map(delivery_path, _ends(answer))} if answer.data.get("webhookUrl") is not None else set()
            mode = answered.get("mode") or answer.data.get("mode")  # each answer of the REST API has it
            keys = {server_keys_path(TICKET_KEYS)} if mode == Mode.ASYNC else set()
            return {request_path(request_id), *webhooks, *keys}
        case "cancelGenerationRequest" | "cancel_generation_request":
            return {request_path(answered["generationRequestId"]), *map(delivery_path, _ends(answer))}
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
        case "grantCredits" | "grant_credits":
            return {grant_path(answered["transactionId"].removeprefix("grant-"))}
        case "runWeeklyReport":
            week = Week.parse(answered["report"]["week"])
            return {report_path(week), *map(usage_path, week.days)}
    return _written_for_purchases(answer)


def _ends(answer: Answer) -> set[str]:
    """Return the requests that an accepted call ends, each as its id and status, with which ids of deliveries begin."""
    request_id = answer.result_or_details.get("generationRequestId")
    match answer.call.operation:
        case "createGenerationRequest" | "create_generation":
            return {f"{request_id}-{'completed' if answer.result else 'failed'}"}
        case "cancelGenerationRequest" | "cancel_generation_request":
            return {f"{request_id}-canceled"}
    return set()


def _written_for_purchases(answer: Answer) -> set[str]:
    """Return the paths of the documents that an accepted call about a purchase writes."""
    answered = answer.result_or_details
    match answer.call.operation:
        case "createPurchase" | "create_purchase":
            user_id = str(answer.data.get("userId") or answer.caller)
            return {purchase_path(answered["purchaseId"]), user_path(user_id)}
        case "getPurchase" | "get_purchase" | "reconcilePurchase" | "reconcile_purchase":
            return {purchase_path(answered["purchaseId"])}
    return set()


def _entry_ids(answer: Answer) -> set[str]:
    """Return the ids of the ledger entries that an accepted call writes."""
    answered = answer.result_or_details
    match answer.call.operation:
        case "createGenerationRequest" | "create_generation":
            kinds = ["deduction"] if answer.result else ["deduction", "refund"]
            return {f"{answered['generationRequestId']}-{kind}" for kind in kinds}
        case "cancelGenerationRequest" | "cancel_generation_request":
            return {f"{answered['generationRequestId']}-refund"}
        case "grantCredits" | "grant_credits":
            return {answered["transactionId"]}
    return set()
