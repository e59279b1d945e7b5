"""Tests that send thousands of generated calls to the functions and the REST API.

The callers are anonymous, a user, an admin and an API key. Every answer must be documented, no call may crash, and a
refused call must not change anything. `make test` sends a part of the calls. Every run sends the same calls in the same
order.

One functions-framework server, as in production, serves all functions without rate limits. Nothing changes in the
background: the queue delivers no task, so queued requests stay pending, and no webhooks are sent. An emulator of Stripe
answers, and sends no events.
"""

import time
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import requests
from google.cloud import firestore

from imagegen.api.rest.routes import ROUTES, Route
from imagegen.documents.accounts import user_path
from imagegen.documents.api_keys import api_key_path
from imagegen.domain.api_keys import Scope
from imagegen.domain.catalog import Kind
from tests.fuzz.cases import generated, hostile, hostile_rest
from tests.fuzz.contract import Answer, Contract, State, leaks, unexplained
from tests.support.calls import REST, Call, of_function, of_route
from tests.support.invariants import violations
from tests.support.live import ANSWER_TIMEOUT_SECONDS, Live, operator_of, order
from tests.support.scale import scaled
from tools.docs import openapi, openapi_rest
from tools.emulators.project import ROOT
from tools.emulators.suite import Suite, workspace
from tools.fakes import NO_LIMITS_SETTINGS
from tools.seed import history
from tools.siege.queue import accepting_queue
from tools.siege.server import Server
from tools.stripe_emulator.emulator import StripeEmulator

STEP = scaled(20, 1)
"""Each caller sends every STEP-th generated call."""

CASES_MIN = scaled(30, 5_000)
PROBLEMS_MAX = 20
"""The number of problems after which a caller stops."""

USER = "user-ada"
ADMIN = "user-admin"
CREDITS = 10_000
QUEUED_REQUESTS = 3
"""The number of pending requests. Each of them can be canceled once."""

SETTINGS = {**NO_LIMITS_SETTINGS, "REQUIRE_AUTH": "false"}
ALL_FUNCTIONS = ROOT / "tests" / "support" / "all_functions.py"
FAILURE_RATES = {"model-a": 0, "model-b": 1}

RECEIVER = "https://receiver.invalid/"
"""A name that never resolves, https://www.rfc-editor.org/rfc/rfc2606#section-2"""

DOCUMENT = openapi.document()
REST_DOCUMENT = openapi_rest.document()
EXAMPLES = {
    path.removeprefix("/"): methods["post"]["requestBody"]["content"]["application/json"]["example"]["data"]
    for path, methods in DOCUMENT["paths"].items()
}
FUNCTIONS = scaled(["createGenerationRequest", "listGenerationRequests"], list(EXAMPLES))
ROUTE_EXAMPLES: dict[Route, dict[str, Any]] = {route: openapi_rest.example(route.operation) for route in ROUTES}
FUZZED_ROUTES = scaled(ROUTES[:1], ROUTES)
ADMIN_OPERATIONS = (
    "grantCredits",
    "grant_credits",
    "getWeeklyReport",
    "listWeeklyReports",
    "runWeeklyReport",
    "findUsers",
    "findPurchases",
    "listCatalogOptions",
    "updateCatalogOption",
    "getOperations",
    "getAudit",
)
EXPECTED_OUTCOMES = {
    "create_generation": "201",
    "cancelGenerationRequest": "REQUEST_ENDED",
    "cancel_generation_request": "REQUEST_ENDED",
    "replaceImageUrls": "NO_STORED_IMAGE",
    "replace_image_urls": "NO_STORED_IMAGE",
    "resendWebhook": "DELIVERY_NOT_FOUND",
    "rotateWebhookEndpointSecret": "ENDPOINT_NOT_FOUND",
    "deleteWebhookEndpoint": "ENDPOINT_NOT_FOUND",
    "revokeApiKey": "API_KEY_NOT_FOUND",
    "updateCatalogOption": "OPTION_CHANGED",
    **dict.fromkeys(("getPurchase", "get_purchase", "reconcilePurchase", "reconcile_purchase"), "PURCHASE_NOT_FOUND"),
    "exportAccount": "SERVICE_UNAVAILABLE",
    "getAccountExport": "EXPORT_NOT_FOUND",
}
"""The outcomes of some examples. The others are answered with 200. In the sample data, all requests have ended, and
there are no stored images, no webhooks, no keys and no purchases. The example of ``create_purchase`` repeats that of
``createPurchase``. The suite has no bucket, so there are no exports."""

PACKAGE = EXAMPLES["createPurchase"]["package"]
KNOWN_USERS = [USER, EXAMPLES["createGenerationRequest"]["userId"], ADMIN, "user-0"]


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the file with the output of the server."""
    return tmp_path_factory.mktemp("fuzz") / "server.log"


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory, log: Path) -> Iterator[Live]:
    directory = workspace(tmp_path_factory.mktemp("fuzz") / "project")
    with ExitStack() as stack:
        suite = stack.enter_context(Suite(directory, "--only", "auth,firestore"))
        operator = stack.enter_context(operator_of(suite))
        for model, failure_rate in FAILURE_RATES.items():
            operator.document(f"models/{model}").update({"failureRate": failure_rate})
        stripe = stack.enter_context(StripeEmulator(RECEIVER))
        stripe.deliveries.held = True
        settings = {
            **SETTINGS,
            "CLOUD_TASKS_EMULATOR_HOST": stack.enter_context(accepting_queue()),
            "FUNCTIONS_EMULATOR": "true",  # only then, another address than Stripe's is used
            "PAYMENTS_ENABLED": "true",
            "STRIPE_API_URL": stripe.url,
            "STRIPE_SECRET_KEY": stripe.secret_key,
        }
        server = Server("all_functions", suite, log, settings, ALL_FUNCTIONS)
        stack.enter_context(server)
        yield Live(suite, operator, server.url.rstrip("/"))


@dataclass(frozen=True)
class Caller:
    """A caller. Without a token, it is anonymous."""

    name: str
    token: str | None = None
    user_id: str | None = None


@dataclass
class Fuzzer:
    """Sends calls one after the other, and records the outcomes and problems."""

    live: Live
    contract: Contract = field(default_factory=lambda: Contract(DOCUMENT, REST_DOCUMENT))
    http: requests.Session = field(default_factory=requests.Session)
    answers: list[Answer] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    outcomes: dict[str, Counter[str]] = field(default_factory=dict)
    owners: dict[str, str | None] = field(default_factory=dict)
    """The id of the user of each document that was ever found, by path."""
    accounts: State = field(init=False)

    def __post_init__(self) -> None:
        self.accounts = self._accounts()

    def send(self, caller: Caller, call: Call) -> None:
        """Send a call and check its answer against its document."""
        headers = ({"Authorization": f"Bearer {caller.token}"} if caller.token else {}) | call.headers
        url = f"{self.live.functions_url}{call.path}"
        try:
            response = self.http.request(
                call.method, url, data=call.body, headers=headers, timeout=ANSWER_TIMEOUT_SECONDS
            )
        except requests.exceptions.InvalidHeader:
            return  # an HTTP client cannot send this header
        content_type = response.headers.get("Content-Type", "").partition(";")[0]
        answer = Answer(call, response.status_code, response.text, content_type, caller.user_id)
        is_documented = call.method == self.contract.methods[call.operation]
        outcome = str(answer.details.get("reason", answer.status)) if is_documented else "another method"
        self.outcomes.setdefault(call.operation, Counter())[outcome] += 1
        found = self.contract.problems(answer) if is_documented else leaks(answer)
        accounts = self._accounts()
        if answer.refused and accounts != self.accounts:
            found.append("a refused call changed an account")
        self.accounts = accounts
        if is_documented and not answer.refused:
            self.answers.append(answer)
        if found:
            self.problems.append(
                f"{caller.name}: {call.method} {call.path} {call.body[:300]!r} {call.headers}\n"
                f"  {answer.status} {answer.text[:500]}\n  {'; '.join(found)}"
            )

    def _accounts(self) -> State:
        """Return the time of the last write of each known user's document. The calls create thousands of others."""
        known = [self.live.operator.document(user_path(user_id)) for user_id in KNOWN_USERS]
        return {user.reference.path: user.update_time for user in self.live.operator.get_all(known, field_paths=[])}

    def state(self) -> State:
        """Return the time of the last write of each document."""
        client: firestore.Client = self.live.operator
        collections = {collection.id for collection in client.collections()} | {"creditTransactions"}
        times = {}
        for id in collections:
            for document in client.collection_group(id).select(["userId"]).stream():
                times[document.reference.path] = document.update_time
                self.owners[document.reference.path] = (document.to_dict() or {}).get("userId")
        return times

    def summary(self) -> str:
        total = sum(outcomes.total() for outcomes in self.outcomes.values())
        lines = [f"{total} calls"]
        for operation, outcomes in sorted(self.outcomes.items()):
            lines.append(f"{operation}: {outcomes.total()}")
            lines += [f"    {count:6} {outcome}" for outcome, count in outcomes.most_common()]
        return "\n".join(lines)


@pytest.mark.parametrize(
    "call",
    [
        *(of_function(function, EXAMPLES[function]) for function in FUNCTIONS),
        *(of_route(route, ROUTE_EXAMPLES[route]) for route in FUZZED_ROUTES),
    ],
    ids=lambda call: call.operation,
)
def test_the_documented_example_works_with_the_sample_data(live: Live, call: Call) -> None:
    authorization = {"Authorization": f"Bearer {live.sign_in(ADMIN)}"} if call.operation in ADMIN_OPERATIONS else {}
    response = live.send(call.path[1:], call.method, data=call.body, headers={**call.headers, **authorization})
    outcome = Answer(call, response.status_code, response.text).details.get("reason", str(response.status_code))
    assert outcome == EXPECTED_OUTCOMES.get(call.operation, "200"), response.text


def test_all_answers_and_changes_match_the_openapi_documents(live: Live, log: Path) -> None:
    anonymous, user, admin = Caller("anonymous"), *(Caller(id, live.sign_in(id), id) for id in (USER, ADMIN))
    for user_id in KNOWN_USERS[:3]:
        grant = {"userId": user_id, "credits": CREDITS, "bucket": "paid", "reason": "fuzz", "idempotencyKey": user_id}
        assert live.call("grantCredits", grant, token=admin.token).status_code == 200
    for user_id in KNOWN_USERS:
        # The first delivery would create the key in the background.
        live.result("getWebhookSecret", {"userId": user_id, "webhookUrl": RECEIVER})
    new_key = {"name": "fuzz", "scopes": [*Scope], "grantCreditsPerDay": CREDITS}
    key = live.result("createApiKey", new_key, token=admin.token)
    callers = [anonymous, user, admin, Caller(f"a key of {ADMIN}", key["apiKey"], ADMIN)]
    fuzzer = Fuzzer(live)
    before = fuzzer.state()
    values = _values(live)
    for field_name, mode in (("deliveryId", "sync"), *[("generationRequestId", "async")] * QUEUED_REQUESTS):
        params = order(USER, mode=mode, webhookUrl=RECEIVER)
        fuzzer.send(anonymous, of_function("createGenerationRequest", params))
        request_id = (fuzzer.answers[-1].result or {})["generationRequestId"]
        values[field_name].append(f"{request_id}-completed" if mode == "sync" else request_id)
    fuzzer.send(anonymous, of_function("createPurchase", {"userId": USER, "package": PACKAGE}))
    values["purchaseId"].append((fuzzer.answers[-1].result or {})["purchaseId"])
    started = time.monotonic()
    routes = [route.operation.handle.__name__ for route in FUZZED_ROUTES]
    calls = [*generated(_only(DOCUMENT, FUNCTIONS), values), *generated(_only(REST_DOCUMENT, routes), values, REST)]
    hostile_calls = [call for function in FUNCTIONS for call in hostile(function, EXAMPLES[function])]
    hostile_calls += [call for route in FUZZED_ROUTES for call in hostile_rest(route, ROUTE_EXAMPLES[route])]
    seconds = time.monotonic() - started
    print(f"\n{len(calls)} generated and {len(hostile_calls)} hostile calls, built in {seconds:.0f} s")
    started = time.monotonic()

    for number, caller in enumerate(callers):
        for call in [*calls[number::STEP], *hostile_calls[number :: len(callers) * STEP]]:
            fuzzer.send(caller, call)
            if len(fuzzer.problems) >= PROBLEMS_MAX:
                break

    print(f"{fuzzer.summary()}\nin {time.monotonic() - started:.0f} s")
    assert not fuzzer.problems, "\n".join(fuzzer.problems)
    assert sum(outcomes.total() for outcomes in fuzzer.outcomes.values()) >= CASES_MIN
    used = {api_key_path(key["keyId"])}  # its last use, and what it granted
    assert unexplained(before, fuzzer.state(), fuzzer.answers, fuzzer.owners) - used == set()
    assert violations(live.operator) == []
    assert "Traceback" not in log.read_text("utf-8")


def _only(document: dict[str, Any], operations: Collection[str]) -> dict[str, Any]:
    """Return the document with these operations only."""
    paths = {
        path: {method: operation for method, operation in methods.items() if operation["operationId"] in operations}
        for path, methods in document["paths"].items()
    }
    return {**document, "paths": {path: methods for path, methods in paths.items() if methods}}


def _values(live: Live) -> dict[str, list[Any]]:
    """Return known values of fields, which calls should prefer to random values."""
    catalog = history.catalog()
    options = {kind.value: catalog.options(kind) for kind in Kind}
    pages = [
        live.result(function, {"userId": USER, "pageSize": 1})
        for function in ("getUserCredits", "listCreditTransactions", "listGenerationRequests")
    ]
    [request] = pages[-1]["requests"]
    return {
        **{kind: [name for option in some for name in (option.name, option.id)] for kind, some in options.items()},
        "userId": KNOWN_USERS,
        "idempotencyKey": ["key-1", "key-2", "key-3"],
        "generationRequestId": [request["generationRequestId"], *EXAMPLES["getGenerationRequest"].values()],
        "pageToken": [page["nextPageToken"] for page in pages],
        "deliveryId": [],
        "package": [PACKAGE],
        "purchaseId": [],
        "webhookUrl": [RECEIVER],
        "week": [str(week) for week in history.weeks()[-2:]],
    }
