"""Access to a running emulator suite: HTTP calls, accounts and the database."""

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
"""The longest timeout of a function, so that a slow machine does not fail a test."""
CONNECTION_ERRORS = ("ECONNRESET", "ECONNREFUSED", "EPIPE")
FINISHED = 'Finished "us-central1-'
"""The beginning of the line that the CLI prints at the end of each call."""
CUT_OFF = "Request to function failed: "
"""The beginning of what the CLI prints instead at the end of a call that it cut off, whoever made the call."""


def until(condition: Callable[[], bool], *, seconds: float) -> None:
    """Wait until ``condition`` is true. Raises AssertionError if that takes more than ``seconds``."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"the condition was still false after {seconds} s"
        time.sleep(0.05)


def cut_off(response: requests.Response) -> bool:
    """Return whether the CLI answered instead of the function, because its connection to the process broke.

    A process closes a connection that was idle for two seconds, and the CLI may use it at that moment. A call that
    makes the process crash is cut off each time, so send a call again once at most.
    """
    return response.status_code == 500 and response.json().get("code") in CONNECTION_ERRORS


@contextmanager
def operator_of(suite: Suite) -> Iterator[firestore.Client]:
    """Yield a client of the suite's database that security rules do not restrict."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("FIRESTORE_EMULATOR_HOST", suite.firestore_host)
        client = firestore.Client(project=suite.project_id)
    yield client
    client.close()  # type: ignore[no-untyped-call]


@dataclass(frozen=True)
class Live:
    """A running suite: its functions over HTTP, its accounts and its database."""

    suite: Suite
    operator: firestore.Client
    functions_url: str = ""
    """The URL of the functions, where the Functions emulator does not serve them."""
    _sent: list[str] = field(default_factory=list)
    _logged: list[int] = field(default_factory=lambda: [0, 0])
    """The number of calls sent and the number of calls printed as finished, as of the last call of ``log``."""

    # The functions

    def send(self, function: str, method: str = "POST", **arguments: Any) -> requests.Response:
        """Send an HTTP request to a function. ``arguments`` are those of ``requests.request``.

        Raises AssertionError if the response shows a stack trace or a path of this machine.
        """
        url = f"{self.functions_url or self.suite.functions_url}/{function}"
        response = requests.request(method, url, timeout=ANSWER_TIMEOUT_SECONDS, **arguments)
        if cut_off(response):
            response = requests.request(method, url, timeout=ANSWER_TIMEOUT_SECONDS, **arguments)
        self._sent.append(function)
        for secret in ("Traceback", str(ROOT), str(self.suite.project.directory), "site-packages"):
            assert secret not in response.text
        return response

    def call(self, function: str, data: object, *, token: str | None = None) -> requests.Response:
        """Call a function as the client SDKs do, signed in with ``token``."""
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        return self.send(function, json={"data": data}, headers=headers)

    def result(self, function: str, data: object, *, token: str | None = None) -> Any:
        """Call a function and return its result. Raises AssertionError if the call fails."""
        response = self.call(function, data, token=token)
        assert response.status_code == 200, response.text
        body = response.json()
        assert body.keys() == {"result"}
        return body["result"]

    def create(self, user_id: str, **options: object) -> requests.Response:
        """Call createGenerationRequest for the smallest image of Model A. ``options`` replace single fields."""
        return self.call("createGenerationRequest", order(user_id, **options))

    def refusal(self, function: str, data: object, *, token: str | None = None) -> tuple[int, str, str]:
        """Make a call that must fail. Return its HTTP status, callable status and reason."""
        return refusal(self.call(function, data, token=token))

    def credits(self, user_id: str) -> int:
        """Return the user's balance according to the API."""
        balance: int = self.result("getUserCredits", {"userId": user_id})["currentCredits"]
        return balance

    def transactions(self, user_id: str) -> list[dict[str, Any]]:
        """Return the newest page of the user's history according to the API."""
        listed: list[dict[str, Any]] = self.result("getUserCredits", {"userId": user_id})["transactions"]
        return listed

    def log(self) -> str:
        """Return the suite's output, once it is complete for all calls so far.

        The CLI prints the end of a call slightly after the call's response.
        """

        sent_before, finished_before = self._logged
        expected = finished_before + len(self._sent) - sent_before

        def complete() -> bool:
            output = self.suite.output()
            finished = output.count(FINISHED)
            return output.count("Beginning execution of ") - output.count(CUT_OFF) == finished >= expected

        until(complete, seconds=30)
        self._logged[:] = len(self._sent), self.suite.output().count(FINISHED)
        return self.suite.output()

    # The accounts

    @cached_property
    def accounts(self) -> auth.Client:
        """The Admin SDK's client of the suite's Auth emulator."""
        app = firebase_admin.initialize_app(options={"projectId": self.suite.project_id}, name=uuid.uuid4().hex)
        with pytest.MonkeyPatch.context() as environment:
            environment.setenv("FIREBASE_AUTH_EMULATOR_HOST", self.suite.auth_host)
            return auth.Client(app)

    def sign_in(self, user_id: str) -> str:
        """Sign a user in and return a new ID token."""
        return self._token("signInWithPassword", self.accounts.get_user(user_id).email)["idToken"]

    def sign_up(self, email: str | None = None) -> tuple[str, str]:
        """Create an account without a user document or a verified e-mail address. Return its id and an ID token."""
        account = self._token("signUp", email or f"{uuid.uuid4().hex}@example.com")
        return account["localId"], account["idToken"]

    def sign_up_anonymously(self) -> tuple[str, str]:
        """Create an anonymous account without a user document. Return its id and an ID token."""
        account = self._token("signUp")
        return account["localId"], account["idToken"]

    def _token(self, action: str, email: str | None = None) -> dict[str, str]:
        credentials = {} if email is None else {"email": email, "password": history.source("users")["password"]}
        response = requests.post(
            f"http://{self.suite.auth_host}/identitytoolkit.googleapis.com/v1/accounts:{action}?key=any",
            json={**credentials, "returnSecureToken": True},
            timeout=ANSWER_TIMEOUT_SECONDS,
        )
        assert response.status_code == 200, response.text
        account: dict[str, str] = response.json()
        return account

    # The database

    def add_user(self, *, trial: int = 0, paid: int = 0) -> str:
        """Add a user with these credits and return the user's id, which is unique to the test."""
        user_id = f"user-{uuid.uuid4().hex[:12]}"
        database = FirestoreDatabase(self.operator)
        export.write_user(database, user_id, "Somebody", Credits(trial, paid), datetime.now(UTC))
        return user_id

    def user(self, user_id: str) -> dict[str, Any]:
        return self._document(user_path(user_id))

    def request(self, request_id: str) -> dict[str, Any]:
        return self._document(request_path(request_id))

    def ledger(self, user_id: str) -> list[dict[str, Any]]:
        """Return all ledger entries of a user, oldest first, each with its ``id``."""
        entries = self.operator.collection(ledger_path(user_id)).order_by("seq").stream()
        return [{"id": entry.id, **(entry.to_dict() or {})} for entry in entries]

    def _document(self, path: str) -> dict[str, Any]:
        data = self.operator.document(path).get().to_dict()
        assert data is not None, f"{path} does not exist"
        return data


def refusal(response: requests.Response) -> tuple[int, str, str]:
    """Return the HTTP status, the callable status and the reason of an error response."""
    error = response.json()["error"]
    assert error["message"]
    return response.status_code, error["status"], error["details"]["reason"]


def order(user_id: str, **options: object) -> dict[str, object]:
    """Return valid data for createGenerationRequest that costs one credit. ``options`` replace single fields."""
    return {
        "userId": user_id,
        "model": "Model A",
        "style": "anime",
        "color": "neon",
        "size": "512x512",
        "prompt": "a lighthouse at dusk",
        **options,
    }
