"""Tests that a document that cannot be read or settled stops nothing else: each is logged, and the rest goes on.

The backend runs on an in-memory Firestore, because the tests need many documents.
"""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from imagegen import bootstrap
from imagegen.bootstrap import Backend
from imagegen.documents.fields import MOMENT_MAX, MOMENT_MIN, Unreadable
from imagegen.documents.generations import REQUESTS
from imagegen.documents.secrets import WEBHOOK_SECRETS
from imagegen.documents.webhooks import DELIVERIES
from imagegen.domain.audit import Invariant
from imagegen.domain.generation import OPEN
from imagegen.domain.ledger import Credits
from imagegen.domain.webhooks import LONGEST_DELAY, OVERDUE, RETRY_WINDOW
from imagegen.domain.weeks import Week
from imagegen.ports.database import DatabaseUnavailable, Put, Query
from imagegen.ports.image_generator import Job
from imagegen.reports.documents import report_data
from imagegen.services import sweeper
from imagegen.services.credits.accounts import new_account
from imagegen.services.pagination import QUERIES_MAX
from tests.support.accounts import Accounts
from tests.support.api import Api
from tests.support.backend import Provider
from tests.support.console import as_admin
from tests.support.faults import FaultyDatabase
from tests.support.orders import order
from tests.support.stored import ThreadSafeStore
from tests.support.times import NOON
from tools.fakes import NO_LIMITS, ManualClock, TaskList
from tools.seed import history

CREATE, LIST, CREDITS = "createGenerationRequest", "listGenerationRequests", "getUserCredits"
LEASE = timedelta(minutes=4)
AddAccount = Callable[..., None]
WEBHOOK = "https://hooks.example.com"

WITHOUT_MAIN_FILE = {
    "bucketUrl": "https://images.example.com",
    "folder": "images/user",
    "token": "t",
    "files": [{"name": "thumbnail", "width": 256, "height": 256, "bytes": 2000}],
}
"""An image of a request without the file of the ordered size."""


class ProcessDied(BaseException):
    """A crash of the process, which no handler catches."""


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOON)


@pytest.fixture
def database() -> ThreadSafeStore:
    store = ThreadSafeStore()
    store.commit(*(Put(path, data) for path, data in history.documents()))
    store.edit("models/model-a", failureRate=0)
    return store


@pytest.fixture
def queue() -> TaskList:
    return TaskList()


@pytest.fixture
def add_account(database: ThreadSafeStore, clock: ManualClock) -> AddAccount:
    def add(user_id: str, paid: int = 100) -> None:
        _, writes = new_account(user_id, {}, Credits(paid=paid), clock.now())
        database.commit(*writes)

    return add


@pytest.fixture
def abandon(api: Api, provider: Provider) -> Callable[..., None]:
    """Return a function that creates a request whose process dies before it settles the request."""

    def die(_job: Job) -> str:
        raise ProcessDied

    def abandon(user_id: str, **options: object) -> None:
        generate, provider.generate = provider.generate, die
        with pytest.raises(ProcessDied):
            api.call(CREATE, order(userId=user_id, **options))
        provider.generate = generate

    return abandon


def sweep(api: Api) -> int:
    answer = api.http.post("/sweepAbandonedRequests")
    assert answer.status_code == 200, answer.get_data(as_text=True)
    swept: int = answer.get_json()["swept"]
    return swept


def balance(api: Api, user_id: str) -> int:
    found: int = api.result("getCreditBalance", {"userId": user_id})["totalAvailable"]
    return found


def logged(capfd: pytest.CaptureFixture[str], event: str = "DOCUMENT_UNREADABLE") -> list[tuple[str, str | None]]:
    """Return path and field of each logged event of this kind."""
    entries = [json.loads(line) for line in "".join(capfd.readouterr()).splitlines() if line.startswith("{")]
    return [(entry["path"], entry.get("field")) for entry in entries if entry["event"] == event]


def paths(store: ThreadSafeStore, collection: str) -> list[str]:
    return [document.path for document in store.scan(collection)]


# The sweeper


def test_sweep_recovers_500_requests_after_3_poisoned_documents(
    api: Api,
    database: ThreadSafeStore,
    clock: ManualClock,
    add_account: AddAccount,
    abandon: Callable[..., None],
    capfd: pytest.CaptureFixture[str],
) -> None:
    for number in range(3):
        add_account(f"bad-{number}")
        abandon(f"bad-{number}")
        clock.sleep(1)
    without_cost, of_broken_user, without_model = paths(database, REQUESTS)
    database.edit(without_cost, "cost")
    database.edit(without_model, model=7)
    database.edit(f"users/{database.read(of_broken_user)[0].data['userId']}", credits={"trial": 0, "paid": 2.5})
    for number in range(500):
        add_account(f"good-{number % 20}") if number < 20 else None
        abandon(f"good-{number % 20}")
    clock.at += LEASE
    assert sweep(api) == 500
    user = database.read(of_broken_user)[0].data["userId"]
    assert sorted(logged(capfd)) == sorted(
        [(without_cost, "cost"), (without_model, "model"), (f"users/{user}", "credits.paid")]
    )
    assert [balance(api, f"good-{number}") for number in range(20)] == [100] * 20
    assert sweep(api) == 0
    database.edit(f"users/{user}", credits={"trial": 0, "paid": 97})  # an operator repairs the document
    assert (sweep(api), balance(api, user)) == (1, 100)


def test_sweep_goes_on_after_pages_of_poisoned_documents(
    api: Api,
    database: ThreadSafeStore,
    clock: ManualClock,
    add_account: AddAccount,
    abandon: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sweeper, "PAGE_SIZE", 5)
    add_account("bad", paid=1000)
    add_account("good")
    for _ in range(12):
        abandon("bad")
    poisoned = paths(database, REQUESTS)
    for path in poisoned:
        database.edit(path, "prompt")
    abandon("good")
    clock.at += LEASE
    database.queries = 0
    assert sweep(api) == 1
    assert balance(api, "good") == 100
    assert sorted(logged(capfd)) == sorted((path, "prompt") for path in poisoned)
    assert database.queries == 6 + 1 + 1 + 1  # each document is read once


def test_unreadable_account_is_logged_once_for_all_its_requests(
    api: Api,
    database: ThreadSafeStore,
    clock: ManualClock,
    add_account: AddAccount,
    abandon: Callable[..., None],
    capfd: pytest.CaptureFixture[str],
) -> None:
    add_account("bad")
    for _ in range(4):
        abandon("bad")
    database.edit("users/bad", credits={"trial": 0, "paid": 2.5})
    clock.at += LEASE
    assert sweep(api) == 0
    assert logged(capfd) == [("users/bad", "credits.paid")]


@pytest.mark.parametrize("collection", [REQUESTS, "users", DELIVERIES])
def test_document_without_any_one_of_its_fields_stops_no_sweep_list_report_or_audit(
    api: Api,
    backend: Backend,
    database: ThreadSafeStore,
    clock: ManualClock,
    queue: TaskList,
    add_account: AddAccount,
    abandon: Callable[..., None],
    collection: str,
) -> None:
    add_account("bad", paid=10)
    add_account("good", paid=10_000)
    queue.down = True  # so that each webhook waits for a sweep
    abandon("bad", webhookUrl=WEBHOOK)
    api.result(CREATE, order(userId="bad", webhookUrl=WEBHOOK))
    of_bad_user = [p for p in paths(database, collection) if database.read(p)[0].data.get("userId") == "bad"]
    path = "users/bad" if collection == "users" else of_bad_user[0]
    [whole] = database.read(path)
    recovered = 0
    for field in whole.data:
        database.collections[collection][whole.id] = whole
        database.edit(path, field)
        abandon("good", webhookUrl=WEBHOOK)
        clock.at += max(LEASE, OVERDUE) + timedelta(seconds=1)
        before = balance(api, "good")
        sweep(api)
        recovered += 1
        assert balance(api, "good") == before + 3, field
        listed = api.result(LIST, {"userId": "good", "pageSize": 200})["requests"]
        assert len(listed) == recovered
        api.result("listWebhookDeliveries", {"userId": "good", "pageSize": 200})
        api.result(LIST, {"userId": "bad"})
        api.result("listWebhookDeliveries", {"userId": "bad"})
        list(backend.audit.findings())
    assert backend.reports.run(Week.of(NOON - timedelta(weeks=1))).week
    assert recovered == len(whole.data) >= 7


@pytest.mark.parametrize("error", [DatabaseUnavailable("the index is being built"), KeyError("value")], ids=type)
def test_webhooks_are_swept_although_requests_cannot_be_queried(
    api: Api,
    backend: Backend,
    faulty: FaultyDatabase,
    queue: TaskList,
    clock: ManualClock,
    add_account: AddAccount,
    error: Exception,
) -> None:
    add_account("user")
    queue.down = True
    api.result(CREATE, order(webhookUrl=WEBHOOK))
    queue.down = False
    clock.at += OVERDUE + timedelta(minutes=1)
    find = faulty.find

    def fail_for_requests(query: Query) -> Any:
        if query.collection == REQUESTS:
            raise error
        return find(query)

    faulty.find = fail_for_requests  # type: ignore[method-assign]
    with pytest.raises(type(error)):
        backend.sweeper.sweep()
    assert [name for name, _ in queue.put_so_far] == ["deliverWebhook"]


def test_unexpected_error_of_one_document_is_logged_and_stops_nothing(
    api: Api,
    database: ThreadSafeStore,
    faulty: FaultyDatabase,
    clock: ManualClock,
    add_account: AddAccount,
    abandon: Callable[..., None],
    capfd: pytest.CaptureFixture[str],
) -> None:
    for user in ("bad", "good"):
        add_account(user)
        abandon(user)
    clock.at += LEASE
    commit = faulty.commit

    def refuse_large_documents(*writes: Any) -> Any:
        if any(write.path == "users/bad" for write in writes):
            raise RuntimeError("400 the document is larger than 1 MiB")
        return commit(*writes)

    faulty.commit = refuse_large_documents  # type: ignore[method-assign]
    assert sweep(api) == 1
    assert balance(api, "good") == 100
    [(path, _)] = logged(capfd, "REQUEST_NOT_SWEPT")
    assert database.read(path)[0].data["userId"] == "bad"


def test_sweep_ends_by_the_clock_and_the_next_one_continues(
    api: Api,
    backend: Backend,
    faulty: FaultyDatabase,
    clock: ManualClock,
    add_account: AddAccount,
    abandon: Callable[..., None],
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Each settlement takes 20 s, and the requests of one user are settled one after the other."""
    add_account("user")
    for _ in range(6):
        abandon("user")
    clock.at += LEASE
    commit = faulty.commit

    def commit_slowly(*writes: Any) -> Any:
        clock.sleep(20)
        return commit(*writes)

    faulty.commit = commit_slowly  # type: ignore[method-assign]
    began = clock.monotonic()
    first = backend.sweeper.sweep()
    assert 0 < first < 6
    assert clock.monotonic() - began < sweeper.SWEEP_SECONDS + 20
    assert "SWEEP_NOT_FINISHED" in "".join(capfd.readouterr())
    assert first + backend.sweeper.sweep() == 6
    assert balance(api, "user") == 100


def test_request_without_a_readable_catalog_still_expires(
    api: Api, database: ThreadSafeStore, clock: ManualClock, add_account: AddAccount
) -> None:
    add_account("user")
    api.result(CREATE, order(mode="async"))
    for path in paths(database, "models"):
        database.edit(path, name=None)
    clock.at += timedelta(hours=1, minutes=1)
    assert sweep(api) == 1
    assert balance(api, "user") == 100


def test_image_without_its_main_file_stops_no_list_worker_or_sweep(
    api: Api,
    backend: Backend,
    database: ThreadSafeStore,
    clock: ManualClock,
    queue: TaskList,
    add_account: AddAccount,
    abandon: Callable[..., None],
    capfd: pytest.CaptureFixture[str],
) -> None:
    add_account("user")
    abandon("user")
    api.result(CREATE, order())
    waiting = api.result(CREATE, order(mode="async"))["generationRequestId"]
    good = api.result(CREATE, order())["generationRequestId"]
    bad = [path for path in paths(database, REQUESTS) if path != f"{REQUESTS}/{good}"]
    for path in bad:
        database.edit(path, image=WITHOUT_MAIN_FILE)
    assert [made["generationRequestId"] for made in api.result(LIST, {"userId": "user"})["requests"]] == [good]
    assert sorted(logged(capfd)) == sorted((path, "image.files") for path in bad)
    [(function, task)] = queue.put_so_far
    assert api.call(function, task).status_code == 200
    assert logged(capfd) == [(f"{REQUESTS}/{waiting}", "image.files")]
    clock.at += timedelta(hours=2)
    abandon("user")
    clock.at += LEASE
    assert sweep(api) == 1
    open_ones = [path for path in bad if database.read(path)[0].data["status"] in OPEN]
    assert sorted(logged(capfd)) == sorted((path, "image.files") for path in open_ones)
    readable = Invariant.READABLE
    found = [finding.documents[0] for finding in backend.audit.findings() if finding.invariant is readable]
    assert sorted(found) == sorted(bad)


@pytest.mark.parametrize(
    "bad",
    [
        "all",
        7,
        [7],
        [{"id": "a", "url": WEBHOOK}],
        [{"id": "a", "url": 1, "events": ["odd"], "enabled": True}],
        2 * [{"id": "a", "url": WEBHOOK, "events": [], "enabled": True}],
    ],
)
def test_list_of_endpoints_that_cannot_be_read_stops_no_request_and_no_refund(
    api: Api,
    backend: Backend,
    database: ThreadSafeStore,
    clock: ManualClock,
    add_account: AddAccount,
    abandon: Callable[..., None],
    bad: object,
) -> None:
    add_account("user")
    abandon("user")
    database.edit("users/user", webhookEndpoints=bad)
    clock.at += LEASE
    assert sweep(api) == 1
    assert balance(api, "user") == 100
    api.result(CREATE, order(webhookUrl=WEBHOOK))
    assert balance(api, "user") == 97
    findings = [(finding.invariant, finding.documents) for finding in backend.audit.findings()]
    assert findings == [(Invariant.READABLE, ("users/user",))]


# Lists


def all_ids(api: Api, function: str, params: dict[str, object], name: str, id: str) -> list[str]:
    """Return the ids of all pages."""
    ids, token = [], None
    while True:
        answer = api.result(function, {**params, "pageToken": token})
        ids += [item[id] for item in answer[name]]
        if (token := answer.get("nextPageToken")) is None:
            return ids


@pytest.mark.parametrize("bad", [[0], [3], [1, 2, 3, 4, 5, 6], [8, 9], list(range(10))], ids=str)
def test_lists_leave_out_the_documents_that_cannot_be_read(
    api: Api,
    database: ThreadSafeStore,
    clock: ManualClock,
    add_account: AddAccount,
    capfd: pytest.CaptureFixture[str],
    bad: list[int],
) -> None:
    add_account("user")
    made = []
    for _ in range(10):
        made.append(api.result(CREATE, order(webhookUrl=WEBHOOK))["generationRequestId"])
        clock.sleep(1)
    for number in bad:
        database.edit(f"{REQUESTS}/{made[number]}", "cost")
        database.edit(f"users/user/creditTransactions/{made[number]}-deduction", "hash")
        database.edit(f"{DELIVERIES}/{made[number]}-completed", "attempts")
    expected = [id for number, id in enumerate(made) if number not in bad][::-1]
    user = {"userId": "user", "pageSize": 3}
    assert all_ids(api, LIST, user, "requests", "generationRequestId") == expected
    assert {path for path, _ in logged(capfd)} == {f"{REQUESTS}/{made[number]}" for number in bad}
    assert all_ids(api, CREDITS, user, "transactions", "generationRequestId") == expected
    assert all_ids(api, "listWebhookDeliveries", user, "deliveries", "generationRequestId") == expected


def test_endpoint_whose_state_cannot_be_read_is_left_out(
    api: Api, database: ThreadSafeStore, add_account: AddAccount, capfd: pytest.CaptureFixture[str]
) -> None:
    add_account("user")
    made = [
        api.result("createWebhookEndpoint", {"userId": "user", "url": f"{WEBHOOK}/{number}"})["endpoint"]["endpointId"]
        for number in range(2)
    ]
    database.edit(f"webhookEndpoints/{made[0]}", pausedUntil="soon")
    listed = api.result("listWebhookEndpoints", {"userId": "user"})["endpoints"]
    assert [endpoint["endpointId"] for endpoint in listed] == made[1:]
    assert logged(capfd) == [(f"webhookEndpoints/{made[0]}", "pausedUntil")]


def test_webhook_is_resent_although_the_users_earlier_resends_cannot_be_read(
    api: Api, database: ThreadSafeStore, add_account: AddAccount
) -> None:
    add_account("user")
    request_id = api.result(CREATE, order(webhookUrl=WEBHOOK))["generationRequestId"]
    database.commit(Put("webhookSending/user", {"resendsEarnedAt": "soon", "busyUntil": 7}))
    api.result("resendWebhook", {"deliveryId": f"{request_id}-completed"})
    assert database.read("webhookSending/user")[0].data["resendsEarnedAt"] > NOON


@pytest.mark.parametrize("broken", [{"cost": 2.5}, {"createdAt": "soon"}, {"createdAt": None}], ids=str)
def test_request_behind_any_number_of_unreadable_ones_is_reached(
    api: Api, database: ThreadSafeStore, clock: ManualClock, add_account: AddAccount, broken: dict[str, object]
) -> None:
    add_account("user")
    first = api.result(CREATE, order(size="512x512"))["generationRequestId"]
    for _ in range(5 * QUERIES_MAX):
        clock.sleep(1)
        request_id = api.result(CREATE, order(size="512x512"))["generationRequestId"]
        database.edit(f"{REQUESTS}/{request_id}", **broken)
    query: dict[str, object] = {"userId": "user", "pageSize": 1}
    for _ in range(5):
        database.queries = 0
        page = api.result(LIST, query)
        assert database.queries <= QUERIES_MAX
        if page["requests"] or "nextPageToken" not in page:
            break
        query["pageToken"] = page["nextPageToken"]
    assert [request["generationRequestId"] for request in page["requests"]] == [first]
    assert "nextPageToken" not in page


@pytest.mark.parametrize("broken", [{"hash": None}, {"seq": "first"}], ids=str)
@pytest.mark.parametrize("function", [CREDITS, "listCreditTransactions"])
def test_entry_behind_unreadable_ones_is_reached(
    api: Api,
    database: ThreadSafeStore,
    add_account: AddAccount,
    monkeypatch: pytest.MonkeyPatch,
    broken: dict[str, object],
    function: str,
) -> None:
    monkeypatch.setattr("imagegen.services.pagination.QUERIES_MAX", 2)
    add_account("user")
    made = [api.result(CREATE, order())["generationRequestId"] for _ in range(9)]
    for request_id in made[1:]:
        database.edit(f"users/user/creditTransactions/{request_id}-deduction", **broken)
    listed = all_ids(api, function, {"userId": "user", "pageSize": 1}, "transactions", "id")
    assert listed[0] == f"{made[0]}-deduction"


def test_entry_whose_number_is_not_an_integer_ends_a_page(
    api: Api, database: ThreadSafeStore, add_account: AddAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("imagegen.services.pagination.QUERIES_MAX", 1)
    add_account("user")
    made = [api.result(CREATE, order())["generationRequestId"] for _ in range(5)]
    for number, request_id in enumerate(made[1:]):
        database.edit(f"users/user/creditTransactions/{request_id}-deduction", seq=2 + (number + 1) / 5)
    listed = all_ids(api, CREDITS, {"userId": "user", "pageSize": 1}, "transactions", "id")
    assert listed == [f"{made[0]}-deduction"]


def test_webhook_behind_unreadable_ones_is_reached(
    api: Api, database: ThreadSafeStore, clock: ManualClock, add_account: AddAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("imagegen.services.pagination.QUERIES_MAX", 2)
    add_account("user")
    made = []
    for number in range(9):
        made.append(api.result(CREATE, order(webhookUrl=WEBHOOK))["generationRequestId"])
        clock.sleep(1)
        if number:
            database.edit(f"{DELIVERIES}/{made[-1]}-completed", **{"url": 7} if number < 5 else {"createdAt": "soon"})
    user = {"userId": "user", "pageSize": 1}
    assert all_ids(api, "listWebhookDeliveries", user, "deliveries", "generationRequestId") == made[:1]


def test_unreadable_request_does_not_keep_its_user_from_new_requests(
    api: Api,
    database: ThreadSafeStore,
    backend: Backend,
    add_account: AddAccount,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    add_account("user")
    first = api.result(CREATE, order())["generationRequestId"]
    database.edit(f"{REQUESTS}/{first}", "cost")
    only_one = replace(backend.generations, limits=replace(NO_LIMITS, concurrent=1))
    monkeypatch.setattr(bootstrap, "backend", lambda: replace(backend, generations=only_one))
    api.result(CREATE, order())
    assert logged(capfd) == [(f"{REQUESTS}/{first}", "cost")]


def test_single_document_that_cannot_be_read_is_an_internal_error(
    api: Api, database: ThreadSafeStore, add_account: AddAccount, capfd: pytest.CaptureFixture[str]
) -> None:
    add_account("user")
    request_id = api.result(CREATE, order())["generationRequestId"]
    database.edit(f"{REQUESTS}/{request_id}", status="odd")
    error = api.error("getGenerationRequest", {"generationRequestId": request_id})
    assert error["details"]["reason"] == "INTERNAL"
    assert logged(capfd) == [(f"{REQUESTS}/{request_id}", "status")]


@pytest.mark.parametrize("changes", [{"cost": None}, {"image": WITHOUT_MAIN_FILE}], ids=str)
def test_webhook_of_an_unreadable_request_fails_after_its_retry_window(
    api: Api,
    database: ThreadSafeStore,
    clock: ManualClock,
    queue: TaskList,
    add_account: AddAccount,
    changes: dict[str, object],
) -> None:
    add_account("user")
    request_id = api.result(CREATE, order(webhookUrl=WEBHOOK))["generationRequestId"]
    database.edit(f"{REQUESTS}/{request_id}", **changes)
    for _ in range(RETRY_WINDOW // LONGEST_DELAY * 3):
        api.call("deliverWebhook", queue.put_so_far[-1][1])
        clock.sleep(LONGEST_DELAY.total_seconds())
    [delivery] = api.result("listWebhookDeliveries", {"userId": "user"})["deliveries"]
    assert (delivery["status"], delivery["attempts"][0]["error"]) == ("failed", "the request cannot be read")


@pytest.mark.parametrize(
    ("document", "field", "value"),
    [
        (f"{WEBHOOK_SECRETS}/user", "key", 1),
        (f"{WEBHOOK_SECRETS}/user", "key", "!"),
        (f"{WEBHOOK_SECRETS}/user", "key", ""),
        (f"{WEBHOOK_SECRETS}/user", "secret", ["whsec_c2VjcmV0"]),
        (f"{WEBHOOK_SECRETS}/user", "secret", "whsec_!!!"),
        (f"{WEBHOOK_SECRETS}/user", "secret", "whsec_"),
        (f"{WEBHOOK_SECRETS}/user", "secret", ""),
        (f"{WEBHOOK_SECRETS}/user", "previousSecret", "whsec_"),
        (f"{WEBHOOK_SECRETS}/user", "previousUntil", "tomorrow"),
        ("users/user", "webhookSecret", 2.5),
        ("users/user", "webhookSecret", "whsec_"),
    ],
)
def test_webhook_of_a_user_with_an_unreadable_secret_is_attempted_until_it_can_be_read(
    api: Api,
    database: ThreadSafeStore,
    clock: ManualClock,
    queue: TaskList,
    add_account: AddAccount,
    document: str,
    field: str,
    value: object,
) -> None:
    add_account("user")
    if document.startswith(WEBHOOK_SECRETS):
        api.result("getWebhookSecret", {"userId": "user"})
    good = database.read(document)[0].data.get(field)
    database.edit(document, **{field: value})
    api.result(CREATE, order(webhookUrl=WEBHOOK))
    api.call("deliverWebhook", queue.put_so_far[-1][1])
    [delivery] = api.result("listWebhookDeliveries", {"userId": "user"})["deliveries"]
    assert (delivery["status"], delivery["attempts"][0]["error"]) == ("pending", "the webhook secret cannot be read")
    database.edit(document, **{field: good})
    clock.sleep(60)
    api.call("deliverWebhook", queue.put_so_far[-1][1])
    [delivery] = api.result("listWebhookDeliveries", {"userId": "user"})["deliveries"]
    assert delivery["status"] == "delivered"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("url", "https://[hooks.example.com"),
        ("url", "https://hooks.example.com\u2100"),
        ("data", {"failingSince": NOON}),
        ("data", {"number": float("nan")}),
        ("data", {"list": [b"bytes"]}),
    ],
    ids=str,
)
def test_webhook_that_cannot_be_sent_is_unreadable_and_stops_no_other(
    api: Api,
    database: ThreadSafeStore,
    queue: TaskList,
    clock: ManualClock,
    add_account: AddAccount,
    capfd: pytest.CaptureFixture[str],
    field: str,
    value: object,
) -> None:
    add_account("user")
    made = [api.result(CREATE, order(webhookUrl=WEBHOOK))["generationRequestId"] for _ in range(2)]
    bad = f"{DELIVERIES}/{made[0]}-completed"
    database.edit(bad, **{field: value})
    tasks = [task for name, task in queue.put_so_far if name == "deliverWebhook"]
    assert [api.call("deliverWebhook", task).status_code for task in tasks] == [200, 200]
    assert logged(capfd) == [(bad, field)]
    listed = api.result("listWebhookDeliveries", {"userId": "user"})["deliveries"]
    assert [(one["generationRequestId"], one["status"]) for one in listed] == [(made[1], "delivered")]
    clock.sleep(OVERDUE.total_seconds() + 1)
    assert sweep(api) == 0


@pytest.mark.parametrize(
    "edit",
    [
        lambda number: {"attemptCount": number},
        lambda number: {"attempts": [{"at": NOON, "durationMs": number, "statusCode": 500, "error": None}]},
    ],
    ids=["attemptCount", "durationMs"],
)
def test_webhook_with_a_number_that_overflows_is_unreadable_and_stops_no_other(
    api: Api,
    database: ThreadSafeStore,
    add_account: AddAccount,
    capfd: pytest.CaptureFixture[str],
    edit: Callable[[int], dict[str, Any]],
) -> None:
    add_account("user")
    made = [api.result(CREATE, order(webhookUrl=WEBHOOK))["generationRequestId"] for _ in range(2)]
    database.edit(f"{DELIVERIES}/{made[0]}-completed", **edit(2**63 - 1))
    database.edit(f"{DELIVERIES}/{made[1]}-completed", **edit(2**53))
    listed = api.result("listWebhookDeliveries", {"userId": "user"})["deliveries"]
    assert [one["generationRequestId"] for one in listed] == made[1:]
    assert [path for path, _ in logged(capfd)] == [f"{DELIVERIES}/{made[0]}-completed"]
    attempt = edit(2**63 - 1).get("attemptCount", 0)
    task = {"deliveryId": f"{made[0]}-completed", "attempt": str(attempt)}
    assert api.call("deliverWebhook", task).status_code == 200
    assert [path for path, _ in logged(capfd)] == [f"{DELIVERIES}/{made[0]}-completed"]


def test_webhook_whose_id_cannot_be_sent_in_a_header_is_unreadable(
    api: Api, database: ThreadSafeStore, add_account: AddAccount, capfd: pytest.CaptureFixture[str]
) -> None:
    add_account("user")
    request_id = api.result(CREATE, order(webhookUrl=WEBHOOK))["generationRequestId"]
    [delivery] = database.read(f"{DELIVERIES}/{request_id}-completed")
    database.commit(Put(f"{DELIVERIES}/caf\u00e9", delivery.data))
    assert api.call("deliverWebhook", {"deliveryId": "caf\u00e9", "attempt": "0"}).status_code == 200
    assert logged(capfd) == [(f"{DELIVERIES}/caf\u00e9", "(id)")]


# The report and the audit


def test_report_leaves_out_users_reports_and_progress_that_cannot_be_read(
    api: Api,
    backend: Backend,
    database: ThreadSafeStore,
    clock: ManualClock,
    add_account: AddAccount,
    capfd: pytest.CaptureFixture[str],
) -> None:
    for user in ("bad", "good"):
        add_account(user)
        api.result(CREATE, order(userId=user))
    week = Week.of(NOON)
    clock.at = week.end
    backend.reports.run(week)
    clock.at = (week + 1).end
    database.edit("users/bad", usage={str(week): {"requests": "many", "creditsDeducted": 3}})
    database.edit(f"weeklyReports/{week}", "days", total=7)
    database.commit(Put(f"dailyUsage/{week.days[0]}", {"total": 7}))
    capfd.readouterr()
    backend.reports.write(clock.at)
    backend.usage.of(week.days)
    assert sorted(logged(capfd)) == [
        (f"dailyUsage/{week.days[0]}", "models"),
        ("users/bad", f"usage.{week}.requests"),
        (f"weeklyReports/{week}", "days"),
    ]
    assert [listed.week for listed in backend.reports.list(10).items] == [week + 1]
    report = backend.reports.run(week)  # writes a readable report again
    assert [user_id for user_id, _ in report.top_users] == ["good"]
    read = backend.reports.get(week)
    assert read is not None
    assert report_data(read) == report_data(report)


def test_report_of_a_week_at_the_end_of_the_calendar_is_left_out(
    backend: Backend, api: Api, database: ThreadSafeStore, clock: ManualClock, accounts: Accounts
) -> None:
    week = Week.of(NOON)
    clock.at = (week + 1).end
    for number in range(2):
        backend.reports.run(week + number)
    database.edit(f"weeklyReports/{week}", week="9999-W52")
    listed = as_admin(api, "listWeeklyReports")["reports"]
    assert [report["week"] for report in listed] == [str(week + 1)]


def test_audit_names_each_unreadable_document_and_checks_the_others(
    api: Api, backend: Backend, database: ThreadSafeStore, clock: ManualClock, add_account: AddAccount
) -> None:
    for user in ("a", "b", "c", "good"):
        add_account(user)
        made = [api.result(CREATE, order(userId=user))["generationRequestId"] for _ in range(2)]
        if user == "a":
            database.edit("users/a", credits={"trial": 0, "paid": 2.5})
        elif user == "b":
            database.edit(f"users/b/creditTransactions/{made[0]}-deduction", "buckets")
        elif user == "c":
            database.edit(f"{REQUESTS}/{made[0]}", userId="")
    database.edit("users/good", credits={"trial": 0, "paid": 95})
    findings = [(finding.invariant, finding.documents[0].split("/")[0]) for finding in backend.audit.findings()]
    assert findings.count((Invariant.READABLE, "users")) == 2
    assert findings.count((Invariant.READABLE, REQUESTS)) == 1
    assert (Invariant.BALANCE, "users") in findings
    assert len(findings) == 4


# The reader


@pytest.mark.parametrize("value", [2.5, "3", None, True, -1, [3], {"n": 3}, float("nan")], ids=str)
def test_amount_of_another_kind_is_unreadable(
    api: Api, backend: Backend, database: ThreadSafeStore, add_account: AddAccount, value: object
) -> None:
    add_account("user")
    request_id = api.result(CREATE, order())["generationRequestId"]
    database.edit(f"{REQUESTS}/{request_id}", cost=value)
    with pytest.raises(Unreadable) as raised:
        backend.requests.get(request_id)
    assert (raised.value.path, raised.value.field) == (f"{REQUESTS}/{request_id}", "cost")


@pytest.mark.parametrize(
    "moment",
    [
        datetime.min.replace(tzinfo=UTC),
        MOMENT_MIN - timedelta(microseconds=1),
        MOMENT_MAX,
        datetime.max.replace(tzinfo=UTC),
    ],
    ids=str,
)
def test_moment_outside_of_the_bounds_is_unreadable(
    api: Api, backend: Backend, database: ThreadSafeStore, add_account: AddAccount, moment: datetime
) -> None:
    add_account("user")
    request_id = api.result(CREATE, order())["generationRequestId"]
    database.edit(f"{REQUESTS}/{request_id}", createdAt=moment)
    with pytest.raises(Unreadable) as raised:
        backend.requests.get(request_id)
    assert raised.value.field == "createdAt"


def test_moments_within_the_bounds_are_read(
    api: Api, backend: Backend, database: ThreadSafeStore, add_account: AddAccount
) -> None:
    add_account("user")
    request_id = api.result(CREATE, order())["generationRequestId"]
    first, last = MOMENT_MIN, MOMENT_MAX - timedelta(microseconds=1)
    database.edit(f"{REQUESTS}/{request_id}", createdAt=first, leaseExpiresAt=last)
    request = backend.requests.get(request_id)
    assert (request.created_at, request.lease_expires_at) == (first, last)


@pytest.mark.parametrize("id", ["", "a/b", ".", "..", "__reserved__", 7, None, "x" * 400], ids=repr)
def test_id_that_is_not_one_is_unreadable(
    api: Api, backend: Backend, database: ThreadSafeStore, add_account: AddAccount, id: object
) -> None:
    add_account("user")
    request_id = api.result(CREATE, order())["generationRequestId"]
    database.edit(f"{REQUESTS}/{request_id}", userId=id)
    with pytest.raises(Unreadable):
        backend.requests.get(request_id)
