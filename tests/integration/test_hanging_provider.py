"""Tests of a provider that hangs: its requests time out, and further requests of it are refused until it recovers."""

import threading
from collections.abc import Iterator

import pytest

from imagegen.adapters.generators.deadline import WithDeadline
from imagegen.bootstrap import Backend
from imagegen.deadlines import LATE_CALLS_MAX
from imagegen.domain.generation import Status
from imagegen.errors import ServiceUnavailable
from imagegen.ports.image_generator import Job
from tests.support.api import Api
from tests.support.backend import AddUser, Provider, set_models
from tests.support.faults import FaultyDatabase, Lost
from tests.support.orders import ORDER, order
from tests.support.progress import PROGRESS_SECONDS, eventually
from tests.support.wire import ObservedClient
from tools.fakes import TaskList

CREATE = "createGenerationRequest"
IMAGE_URL = "https://images.example.com/late.png"


@pytest.fixture
def queue() -> TaskList:
    return TaskList()


@pytest.fixture
def recovered() -> Iterator[threading.Event]:
    """Yield an event. The provider hangs until it is set."""
    recovered = threading.Event()
    yield recovered
    recovered.set()


@pytest.fixture
def stuck(api: Api, client: ObservedClient, provider: Provider, recovered: threading.Event, add_user: AddUser) -> Api:
    """Return an API whose provider hangs in as many calls as an instance allows. All were refunded."""

    def hang(_job: Job) -> str:
        assert recovered.wait(PROGRESS_SECONDS)
        return IMAGE_URL

    provider.generate = hang
    set_models(client, timeoutSeconds=0.01)
    add_user(paid=10)
    for number in range(LATE_CALLS_MAX):
        error = api.error(CREATE, order(idempotencyKey=f"hung-{number}"))
        assert error["details"]["reason"] == "GENERATION_TIMEOUT"
    client.wire.reset()
    return api


def balance(api: Api) -> int:
    found: int = api.result("getUserCredits", {"userId": "user"})["currentCredits"]
    return found


def test_call_is_refused_before_it_is_charged(
    stuck: Api, client: ObservedClient, capfd: pytest.CaptureFixture[str]
) -> None:
    error = stuck.error(CREATE, ORDER)
    assert (error["status"], error["details"]) == ("UNAVAILABLE", {"reason": "SERVICE_UNAVAILABLE"})
    assert client.wire.writes == 0
    assert balance(stuck) == 10
    assert '"event": "PROVIDER_HANGS"' in "".join(capfd.readouterr())


def test_call_is_not_refused_after_a_commit_that_may_be_applied(
    api: Api, faulty: FaultyDatabase, add_user: AddUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_user(paid=10)
    states = iter([False])  # the provider hangs from the second try on
    monkeypatch.setattr(WithDeadline, "is_stuck", property(lambda _generator: next(states, True)))
    faulty.faults = [Lost.BEFORE]
    assert api.result(CREATE, ORDER)["deductedCredits"] == 3


def test_repeated_call_still_gets_its_outcome(stuck: Api) -> None:
    assert stuck.error(CREATE, order(idempotencyKey="hung-0"))["details"]["reason"] == "GENERATION_TIMEOUT"


def test_calls_without_the_provider_still_work(stuck: Api) -> None:
    assert stuck.result("getCatalog", {})["models"]
    assert stuck.result(CREATE, order(mode="async"))["status"] == "pending"


def test_calls_are_accepted_again_when_the_provider_recovers(
    stuck: Api, client: ObservedClient, recovered: threading.Event
) -> None:
    set_models(client, timeoutSeconds=30)
    recovered.set()
    eventually(lambda: stuck.call(CREATE, ORDER).status_code == 200)
    assert balance(stuck) == 7


def test_worker_refuses_the_task_without_claiming_the_request(
    stuck: Api, backend: Backend, client: ObservedClient, queue: TaskList, recovered: threading.Event
) -> None:
    request_id = stuck.result(CREATE, order(mode="async"))["generationRequestId"]
    [(_, task)] = queue.put_so_far
    client.wire.reset()
    with pytest.raises(ServiceUnavailable):
        backend.worker.run(task["generationRequestId"], task["ticket"])
    assert client.wire.writes == 0
    assert stuck.result("getGenerationRequest", {"generationRequestId": request_id})["status"] == "pending"

    recovered.set()

    def run_again() -> bool:
        try:
            return backend.worker.run(task["generationRequestId"], task["ticket"]) is Status.COMPLETED
        except ServiceUnavailable:
            return False

    eventually(run_again)
