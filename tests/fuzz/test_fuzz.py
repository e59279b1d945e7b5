"""Thousands of generated calls to the functions under the real Firebase CLI, from users, an admin and anyone.

No answer may be undocumented, no call may crash, and no refused call may change anything. `make test` makes a part of
the calls. A suite of its own, without limits on requests; the same calls in the same order on every run. Nothing works
in the background on what the calls are about: queued requests stay pending, and webhooks reach nobody.
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
from tests.fuzz.cases import Sent, generated, hostile
from tests.fuzz.contract import Answer, Contract, State, leaks, unexplained
from tests.support.invariants import violations
from tests.support.live import ANSWER_TIMEOUT_SECONDS, Live, operator_of, order
from tests.support.scale import scaled
from tools.docs import openapi
from tools.emulators.suite import Suite, workspace
from tools.fakes import NO_LIMITS_SETTINGS
from tools.seed import history

SHARE = scaled(10, 1)
"""One call in so many is made."""

CASES_MIN = scaled(60, 5_000)
PROBLEMS_MAX = 20
"""So many, and the rest need not be looked at."""

USER = "user-ada"
ADMIN = "user-admin"
PLENTY = 10_000
QUEUED = 3
"""Requests that can be canceled, once each."""

SETTINGS = {**NO_LIMITS_SETTINGS, "ALLOW_LOCAL_WEBHOOKS": "false"}
MODELS: dict[str, dict[str, Any]] = {
    "model-a": {"failureRate": 0, "queue": "nowhere"},
    "model-b": {"failureRate": 1, "queue": "nowhere"},
}
"""There is no such queue."""

RECEIVER = "https://receiver.invalid/"
"""A name that never resolves, https://www.rfc-editor.org/rfc/rfc2606#section-2"""

DOCUMENT = openapi.document()
EXAMPLES = {
    path.removeprefix("/"): methods["post"]["requestBody"]["content"]["application/json"]["example"]["data"]
    for path, methods in DOCUMENT["paths"].items()
}
FUNCTIONS = scaled(["createGenerationRequest", "grantCredits", "listGenerationRequests"], list(EXAMPLES))
FOR_ADMINS = ("grantCredits", "getWeeklyReport", "listWeeklyReports", "runWeeklyReport")
REFUSED = {"cancelGenerationRequest": (400, "REQUEST_ENDED"), "resendWebhook": (404, "DELIVERY_NOT_FOUND")}
"""Of the examples: in the seed all requests have ended, and none has a webhook."""

USERS_KNOWN = [USER, EXAMPLES["createGenerationRequest"]["userId"], ADMIN, "user-0"]


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    directory = workspace(tmp_path_factory.mktemp("fuzz") / "project", settings=SETTINGS)
    with Suite(directory, "--only", "auth,functions,firestore") as suite, operator_of(suite) as operator:
        for model, fields in MODELS.items():
            operator.document(f"models/{model}").update(fields)
        yield Live(suite, operator)


@dataclass
class Fuzzer:
    """One caller after the other, one call after the other."""

    live: Live
    contract: Contract = field(default_factory=lambda: Contract(DOCUMENT))
    http: requests.Session = field(default_factory=requests.Session)
    answers: list[Answer] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    outcomes: dict[str, Counter[str]] = field(default_factory=dict)
    accounts: State = field(init=False)

    def __post_init__(self) -> None:
        self.accounts = self._accounts()

    def send(self, who: str, token: str | None, case: Sent) -> None:
        """Makes a call and holds its answer against the document."""
        headers = ({"Authorization": f"Bearer {token}"} if token else {}) | case.headers
        url = f"{self.live.suite.functions_url}/{case.function}"
        try:
            response = self.http.request(
                case.method, url, data=case.body, headers=headers, timeout=ANSWER_TIMEOUT_SECONDS
            )
        except requests.exceptions.InvalidHeader:
            return  # nobody can send it
        answer = Answer(case.function, case.body, response.status_code, response.text, who if token else None)
        outcome = str(answer.details.get("reason", answer.status)) if case.method == "POST" else "another method"
        self.outcomes.setdefault(case.function, Counter())[outcome] += 1
        found = self.contract.problems(answer) if case.method == "POST" else leaks(answer)
        accounts = self._accounts()
        if answer.refused and accounts != self.accounts:
            found.append("refused, and changed an account")
        self.accounts = accounts
        if case.method == "POST" and not answer.refused:
            self.answers.append(answer)
        if found:
            self.problems.append(
                f"{who}: {case.method} {case.function} {case.body[:300]!r} {case.headers}\n"
                f"  {answer.status} {answer.text[:500]}\n  {'; '.join(found)}"
            )

    def _accounts(self) -> State:
        """Every user's document, by its last write."""
        return {user.reference.path: user.update_time for user in self.live.operator.collection(USERS).select([]).get()}

    def state(self) -> State:
        """Every document, by its last write."""
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
def test_the_documented_example_works_with_the_seed(live: Live, function: str) -> None:
    token = live.sign_in(ADMIN) if function in FOR_ADMINS else None
    response = live.call(function, EXAMPLES[function], token=token)
    answered = response.status_code, response.json().get("error", {}).get("details", {}).get("reason")
    assert answered == REFUSED.get(function, (200, None)), response.text


def test_no_call_is_answered_or_does_what_the_document_does_not_say(live: Live) -> None:
    callers = {"anyone": None, USER: live.sign_in(USER), ADMIN: live.sign_in(ADMIN)}
    for user_id in USERS_KNOWN[:3]:
        plenty = {"userId": user_id, "credits": PLENTY, "bucket": "paid", "reason": "fuzz", "idempotencyKey": user_id}
        assert live.call("grantCredits", plenty, token=callers[ADMIN]).status_code == 200
    for user_id in USERS_KNOWN:
        live.result("getWebhookSecret", {"userId": user_id})  # the first delivery would make it, in the background
    fuzzer = Fuzzer(live)
    before = fuzzer.state()
    values = _values(live)
    for field_name, mode in (("deliveryId", "sync"), *[("generationRequestId", "async")] * QUEUED):
        params = order(USER, mode=mode, webhookUrl=RECEIVER)
        fuzzer.send("anyone", None, Sent("createGenerationRequest", json.dumps({"data": params}).encode()))
        request_id = (fuzzer.answers[-1].result or {})["generationRequestId"]
        values[field_name].append(f"{request_id}-completed" if mode == "sync" else request_id)
    started = time.monotonic()
    document = {**DOCUMENT, "paths": {f"/{function}": DOCUMENT["paths"][f"/{function}"] for function in FUNCTIONS}}
    made = list(generated(document, values))
    mean = [case for function in FUNCTIONS for case in hostile(function, EXAMPLES[function])]
    print(f"\n{len(made)} generated and {len(mean)} hostile calls, made in {time.monotonic() - started:.0f} s")
    started = time.monotonic()

    for number, (who, token) in enumerate(callers.items()):
        for case in [*made[number::SHARE], *mean[number :: len(callers) * SHARE]]:
            fuzzer.send(who, token, case)
            if len(fuzzer.problems) >= PROBLEMS_MAX:
                break

    print(f"{fuzzer.summary()}\nin {time.monotonic() - started:.0f} s")
    assert not fuzzer.problems, "\n".join(fuzzer.problems)
    assert sum(outcomes.total() for outcomes in fuzzer.outcomes.values()) >= CASES_MIN
    assert unexplained(before, fuzzer.state(), fuzzer.answers) == set()
    assert violations(live.operator) == []
    assert "Traceback" not in live.suite.output()


def _values(live: Live) -> dict[str, list[Any]]:
    """Of fields whose values lead somewhere."""
    catalog = history.catalog()
    options = {kind.value: catalog.options(kind) for kind in Kind}
    pages = [
        live.result(function, {"userId": USER, "pageSize": 1})
        for function in ("getUserCredits", "listGenerationRequests")
    ]
    [request] = pages[1]["requests"]
    return {
        **{kind: [name for option in some for name in (option.name, option.id)] for kind, some in options.items()},
        "userId": USERS_KNOWN,
        "idempotencyKey": ["key-1", "key-2", "key-3"],
        "generationRequestId": [request["generationRequestId"], *EXAMPLES["getGenerationRequest"].values()],
        "pageToken": [page["nextPageToken"] for page in pages],
        "deliveryId": [],
        "webhookUrl": [RECEIVER],
        "week": [str(week) for week in history.weeks()[-2:]],
    }
