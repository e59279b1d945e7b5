"""The running emulator suite, as curl, a signed-in user and an operator see it."""

import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

import firebase_admin
import pytest
import requests
from firebase_admin import auth
from google.cloud import firestore

from imagegen.adapters.firestore import FirestoreDatabase
from imagegen.documents.accounts import ledger_path, user_path
from imagegen.documents.generations import request_path
from imagegen.domain.ledger import Credits
from tools.emulators.project import ROOT
from tools.emulators.suite import Suite
from tools.seed import export, history

ANSWER_TIMEOUT_SECONDS = 540
"""As long as the slowest function may take: a busy machine is no failure."""
CONNECTION_ERRORS = ("ECONNRESET", "ECONNREFUSED", "EPIPE")
FINISHED = 'Finished "us-central1-'
"""What the CLI prints at the end of each call."""


def until(condition: Callable[[], bool], *, seconds: float) -> None:
    """Waits for ``condition``. Raises AssertionError when it does not come true in ``seconds``."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.05)


def cut_off(response: requests.Response) -> bool:
    """Return whether the CLI answered instead of the function, because its connection to the process broke.

    A process closes a connection that was idle for two seconds, and the CLI may use it at that moment. A call that
    makes the process crash is cut off each time, so send a call again once at most.
    """
    return response.status_code == 500 and response.json().get("code") in CONNECTION_ERRORS


@contextmanager
def operator_of(suite: Suite) -> Iterator[firestore.Client]:
    """A client on the suite's database that no rules bind."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("FIRESTORE_EMULATOR_HOST", suite.firestore_host)
        client = firestore.Client(project=suite.project_id)
    yield client
    client.close()  # type: ignore[no-untyped-call]


@dataclass(frozen=True)
class Live:
    """The deployed functions over real HTTP, and the suite's accounts and database around them."""

    suite: Suite
    operator: firestore.Client
    _sent: list[str] = field(default_factory=list)
    _cut_off: list[str] = field(default_factory=list)
    """The functions of the calls that the CLI lost. It does not print these as finished."""
    _logged: list[int] = field(default_factory=lambda: [0, 0])
    """How many calls had been sent, and how many were printed as finished, when the log was last asked for."""

    # The functions

    def send(self, function: str, method: str = "POST", **arguments: Any) -> requests.Response:
        """Any HTTP request to a function; ``arguments`` as in ``requests.request``.

        Whatever it is answered with must not tell how the backend is made.
        """
        url = f"{self.suite.functions_url}/{function}"
        response = requests.request(method, url, timeout=ANSWER_TIMEOUT_SECONDS, **arguments)
        if cut_off(response):
            self._cut_off.append(function)
            response = requests.request(method, url, timeout=ANSWER_TIMEOUT_SECONDS, **arguments)
        self._sent.append(function)
        for secret in ("Traceback", str(ROOT), str(self.suite.project.directory), "site-packages"):
            assert secret not in response.text
        return response

    def call(self, function: str, data: object, *, token: str | None = None) -> requests.Response:
        """A call as the client SDKs make it, signed in with ``token``."""
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        return self.send(function, json={"data": data}, headers=headers)

    def result(self, function: str, data: object, *, token: str | None = None) -> Any:
        """The result of a call that has to succeed, and nothing beside it."""
        response = self.call(function, data, token=token)
        assert response.status_code == 200, response.text
        body = response.json()
        assert body.keys() == {"result"}
        return body["result"]

    def create(self, user_id: str, **options: object) -> requests.Response:
        """createGenerationRequest for the smallest image of Model A, but for what ``options`` say."""
        return self.call("createGenerationRequest", order(user_id, **options))

    def refusal(self, function: str, data: object, *, token: str | None = None) -> tuple[int, str, str]:
        """How a call is refused that has to be: the HTTP status, the callable protocol's, and our reason."""
        return refusal(self.call(function, data, token=token))

    def credits(self, user_id: str) -> int:
        """The balance, as the API tells it."""
        balance: int = self.result("getUserCredits", {"userId": user_id})["currentCredits"]
        return balance

    def transactions(self, user_id: str) -> list[dict[str, Any]]:
        """The newest page of the history, as the API tells it."""
        listed: list[dict[str, Any]] = self.result("getUserCredits", {"userId": user_id})["transactions"]
        return listed

    def log(self) -> str:
        """What has been printed, all about the calls so far included: it arrives a little after their answers."""

        sent_before, finished_before = self._logged
        expected = finished_before + len(self._sent) - sent_before

        def complete() -> bool:
            output = self.suite.output()
            finished = output.count(FINISHED)
            return output.count("Beginning execution of ") - len(self._cut_off) == finished >= expected

        until(complete, seconds=30)
        self._logged[:] = len(self._sent), self.suite.output().count(FINISHED)
        return self.suite.output()

    # The accounts

    @cached_property
    def accounts(self) -> auth.Client:
        """The Admin SDK on the suite's Auth emulator."""
        app = firebase_admin.initialize_app(options={"projectId": self.suite.project_id}, name=uuid.uuid4().hex)
        with pytest.MonkeyPatch.context() as environment:
            environment.setenv("FIREBASE_AUTH_EMULATOR_HOST", self.suite.auth_host)
            return auth.Client(app)

    def sign_in(self, user_id: str) -> str:
        """A new ID token of an account."""
        return self._token("signInWithPassword", self.accounts.get_user(user_id).email)["idToken"]

    def sign_up(self) -> tuple[str, str]:
        """The id and the ID token of a new account, which has no user document and no verified e-mail address."""
        account = self._token("signUp", f"{uuid.uuid4().hex}@example.com")
        return account["localId"], account["idToken"]

    def _token(self, action: str, email: str) -> dict[str, str]:
        response = requests.post(
            f"http://{self.suite.auth_host}/identitytoolkit.googleapis.com/v1/accounts:{action}?key=any",
            json={"email": email, "password": history.source("users")["password"], "returnSecureToken": True},
            timeout=ANSWER_TIMEOUT_SECONDS,
        )
        assert response.status_code == 200, response.text
        account: dict[str, str] = response.json()
        return account

    # The database

    def add_user(self, *, trial: int = 0, paid: int = 0) -> str:
        """A new user whom no other test knows, with a granted balance."""
        user_id = f"user-{uuid.uuid4().hex[:12]}"
        database = FirestoreDatabase(self.operator)
        export.write_user(database, user_id, "Somebody", Credits(trial, paid), datetime.now(UTC))
        return user_id

    def user(self, user_id: str) -> dict[str, Any]:
        return self._document(user_path(user_id))

    def request(self, request_id: str) -> dict[str, Any]:
        return self._document(request_path(request_id))

    def ledger(self, user_id: str) -> list[dict[str, Any]]:
        """All ledger entries, oldest first, each with its ``id``."""
        entries = self.operator.collection(ledger_path(user_id)).order_by("seq").stream()
        return [{"id": entry.id, **(entry.to_dict() or {})} for entry in entries]

    def _document(self, path: str) -> dict[str, Any]:
        data = self.operator.document(path).get().to_dict()
        assert data is not None, f"there is no {path}"
        return data


def refusal(response: requests.Response) -> tuple[int, str, str]:
    """The HTTP status, the callable protocol's status, and our reason."""
    error = response.json()["error"]
    assert error["message"]
    return response.status_code, error["status"], error["details"]["reason"]


def order(user_id: str, **options: object) -> dict[str, object]:
    """Valid data for createGenerationRequest: one credit, a model that never fails."""
    return {
        "userId": user_id,
        "model": "Model A",
        "style": "anime",
        "color": "neon",
        "size": "512x512",
        "prompt": "a lighthouse at dusk",
        **options,
    }
