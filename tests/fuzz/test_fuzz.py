"""Tests that send thousands of generated calls to the functions under the real Firebase CLI.

The callers are anonymous, a user and an admin. Every answer must be documented, no call may crash, and a refused call
must not change anything. `make test` sends a part of the calls. Every run sends the same calls in the same order.

The tests use their own suite, without rate limits. Nothing changes in the background: queued requests stay pending,
and webhooks cannot be delivered.
"""

import json
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import requests
from google.cloud import firestore

from imagegen.documents.accounts import USERS
from imagegen.domain.catalog import Kind
from tests.fuzz.cases import Call, generated, hostile
from tests.fuzz.contract import Answer, Contract, State, leaks, unexplained
from tests.support.invariants import violations
from tests.support.live import ANSWER_TIMEOUT_SECONDS, Live, operator_of, order
from tests.support.scale import scaled
from tools.docs import openapi
from tools.emulators.suite import Suite, workspace
from tools.fakes import NO_LIMITS_SETTINGS
from tools.seed import history

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

SETTINGS = {**NO_LIMITS_SETTINGS, "ALLOW_LOCAL_WEBHOOKS": "false"}
MODELS: dict[str, dict[str, Any]] = {
    "model-a": {"failureRate": 0, "queue": "nowhere"},
    "model-b": {"failureRate": 1, "queue": "nowhere"},
}
"""The queue does not exist."""

RECEIVER = "https://receiver.invalid/"
"""A name that never resolves, https://www.rfc-editor.org/rfc/rfc2606#section-2"""

DOCUMENT = openapi.document()
EXAMPLES = {
    path.removeprefix("/"): methods["post"]["requestBody"]["content"]["application/json"]["example"]["data"]
    for path, methods in DOCUMENT["paths"].items()
}
FUNCTIONS = scaled(["createGenerationRequest", "grantCredits", "listGenerationRequests"], list(EXAMPLES))
ADMIN_FUNCTIONS = ("grantCredits", "getWeeklyReport", "listWeeklyReports", "runWeeklyReport")
EXPECTED_ERRORS = {
    "cancelGenerationRequest": (400, "REQUEST_ENDED"),
    "resendWebhook": (404, "DELIVERY_NOT_FOUND"),
    "rotateWebhookEndpointSecret": (404, "ENDPOINT_NOT_FOUND"),
    "deleteWebhookEndpoint": (404, "ENDPOINT_NOT_FOUND"),
    "revokeApiKey": (404, "API_KEY_NOT_FOUND"),
    "replaceImageUrls": (400, "NO_STORED_IMAGE"),
}
"""The errors of some examples. In the sample data, all requests have ended, and there are no webhooks and no keys."""

KNOWN_USERS = [USER, EXAMPLES["createGenerationRequest"]["userId"], ADMIN, "user-0"]


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    directory = workspace(tmp_path_factory.mktemp("fuzz") / "project", settings=SETTINGS)
    with Suite(directory, "--only", "auth,functions,firestore") as suite, operator_of(suite) as operator:
        for model, fields in MODELS.items():
            operator.document(f"models/{model}").update(fields)
        yield Live(suite, operator)


@dataclass
class Fuzzer:
    """Sends calls one after the other, and records the outcomes and problems."""

    live: Live
    contract: Contract = field(default_factory=lambda: Contract(DOCUMENT))
    http: requests.Session = field(default_factory=requests.Session)
    answers: list[Answer] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    outcomes: dict[str, Counter[str]] = field(default_factory=dict)
    accounts: State = field(init=False)

    def __post_init__(self) -> None:
        self.accounts = self._accounts()

    def send(self, who: str, token: str | None, call: Call) -> None:
        """Send a call and check its answer against the document. ``who`` names the caller."""
        headers = ({"Authorization": f"Bearer {token}"} if token else {}) | call.headers
        url = f"{self.live.suite.functions_url}/{call.function}"
        try:
            response = self.http.request(
                call.method, url, data=call.body, headers=headers, timeout=ANSWER_TIMEOUT_SECONDS
            )
        except requests.exceptions.InvalidHeader:
            return  # an HTTP client cannot send this header
        answer = Answer(call.function, call.body, response.status_code, response.text, who if token else None)
        outcome = str(answer.details.get("reason", answer.status)) if call.method == "POST" else "another method"
        self.outcomes.setdefault(call.function, Counter())[outcome] += 1
        found = self.contract.problems(answer) if call.method == "POST" else leaks(answer)
        accounts = self._accounts()
        if answer.refused and accounts != self.accounts:
            found.append("a refused call changed an account")
        self.accounts = accounts
        if call.method == "POST" and not answer.refused:
            self.answers.append(answer)
        if found:
            self.problems.append(
                f"{who}: {call.method} {call.function} {call.body[:300]!r} {call.headers}\n"
                f"  {answer.status} {answer.text[:500]}\n  {'; '.join(found)}"
            )

    def _accounts(self) -> State:
        """Return the time of the last write of each user's document."""
        return {user.reference.path: user.update_time for user in self.live.operator.collection(USERS).select([]).get()}

    def state(self) -> State:
        """Return the time of the last write of each document."""
        client: firestore.Client = self.live.operator
        collections = {collection.id for collection in client.collections()} | {"creditTransactions"}
        return {
            document.reference.path: document.update_time
            for id in collections
            for document in client.collection_group(id).select([]).stream()
        }

    def summary(self) -> str:
        total = sum(outcomes.total() for outcomes in self.outcomes.values())
        lines = [f"{total} calls"]
        for function, outcomes in sorted(self.outcomes.items()):
            lines.append(f"{function}: {outcomes.total()}")
            lines += [f"    {count:6} {outcome}" for outcome, count in outcomes.most_common()]
        return "\n".join(lines)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_the_documented_example_works_with_the_sample_data(live: Live, function: str) -> None:
    token = live.sign_in(ADMIN) if function in ADMIN_FUNCTIONS else None
    response = live.call(function, EXAMPLES[function], token=token)
    outcome = response.status_code, response.json().get("error", {}).get("details", {}).get("reason")
    assert outcome == EXPECTED_ERRORS.get(function, (200, None)), response.text


def test_all_answers_and_changes_match_the_openapi_document(live: Live) -> None:
    callers = {"anonymous": None, USER: live.sign_in(USER), ADMIN: live.sign_in(ADMIN)}
    for user_id in KNOWN_USERS[:3]:
        grant = {"userId": user_id, "credits": CREDITS, "bucket": "paid", "reason": "fuzz", "idempotencyKey": user_id}
        assert live.call("grantCredits", grant, token=callers[ADMIN]).status_code == 200
    for user_id in KNOWN_USERS:
        # The first delivery would create the key in the background.
        live.result("getWebhookSecret", {"userId": user_id, "webhookUrl": RECEIVER})
    fuzzer = Fuzzer(live)
    before = fuzzer.state()
    values = _values(live)
    for field_name, mode in (("deliveryId", "sync"), *[("generationRequestId", "async")] * QUEUED_REQUESTS):
        params = order(USER, mode=mode, webhookUrl=RECEIVER)
        fuzzer.send("anonymous", None, Call("createGenerationRequest", json.dumps({"data": params}).encode()))
        request_id = (fuzzer.answers[-1].result or {})["generationRequestId"]
        values[field_name].append(f"{request_id}-completed" if mode == "sync" else request_id)
    started = time.monotonic()
    document = {**DOCUMENT, "paths": {f"/{function}": DOCUMENT["paths"][f"/{function}"] for function in FUNCTIONS}}
    generated_calls = list(generated(document, values))
    hostile_calls = [call for function in FUNCTIONS for call in hostile(function, EXAMPLES[function])]
    seconds = time.monotonic() - started
    print(f"\n{len(generated_calls)} generated and {len(hostile_calls)} hostile calls, built in {seconds:.0f} s")
    started = time.monotonic()

    for number, (who, token) in enumerate(callers.items()):
        for call in [*generated_calls[number::STEP], *hostile_calls[number :: len(callers) * STEP]]:
            fuzzer.send(who, token, call)
            if len(fuzzer.problems) >= PROBLEMS_MAX:
                break

    print(f"{fuzzer.summary()}\nin {time.monotonic() - started:.0f} s")
    assert not fuzzer.problems, "\n".join(fuzzer.problems)
    assert sum(outcomes.total() for outcomes in fuzzer.outcomes.values()) >= CASES_MIN
    assert unexplained(before, fuzzer.state(), fuzzer.answers) == set()
    assert violations(live.operator) == []
    assert "Traceback" not in live.suite.output()


def _values(live: Live) -> dict[str, list[Any]]:
    """Return known values of fields, which calls should prefer to random values."""
    catalog = history.catalog()
    options = {kind.value: catalog.options(kind) for kind in Kind}
    pages = [
        live.result(function, {"userId": USER, "pageSize": 1})
        for function in ("getUserCredits", "listGenerationRequests")
    ]
    [request] = pages[1]["requests"]
    return {
        **{kind: [name for option in some for name in (option.name, option.id)] for kind, some in options.items()},
        "userId": KNOWN_USERS,
        "idempotencyKey": ["key-1", "key-2", "key-3"],
        "generationRequestId": [request["generationRequestId"], *EXAMPLES["getGenerationRequest"].values()],
        "pageToken": [page["nextPageToken"] for page in pages],
        "deliveryId": [],
        "webhookUrl": [RECEIVER],
        "week": [str(week) for week in history.weeks()[-2:]],
    }
