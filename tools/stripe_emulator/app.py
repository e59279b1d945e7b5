"""The API of the emulator over HTTP, with the failures that tests order."""

import json
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from flask import Flask, Response, request

from tools.emulators.ports import STRIPE
from tools.stripe_emulator import checkout_page, objects
from tools.stripe_emulator.account import API_VERSION, Account
from tools.stripe_emulator.api import ROUTES, Route
from tools.stripe_emulator.clock import MovableClock
from tools.stripe_emulator.controls import Controls
from tools.stripe_emulator.deliveries import Deliveries
from tools.stripe_emulator.errors import ApiError, InvalidRequest, ServerError, Unauthorized
from tools.stripe_emulator.faults import HANGS_SECONDS_MAX, Fault, Faults, Kind
from tools.stripe_emulator.idempotency import Response as Answer
from tools.stripe_emulator.idempotency import SavedResponses
from tools.stripe_emulator.parameters import parse
from tools.stripe_emulator.sessions import expire_due_sessions

BODY_BYTES_MAX = 65_536
_JSON = "application/json"


@dataclass(frozen=True)
class Api:
    """Stripe's API: an account that one secret key gives access to."""

    secret_key: str
    account: Account
    clock: MovableClock
    deliveries: Deliveries
    saved: SavedResponses
    faults: Faults = field(default_factory=Faults)

    def app(self) -> Flask:
        """Return the web application with the API, the checkout page and the controls."""
        app = Flask("tools.stripe_emulator")
        app.config["MAX_CONTENT_LENGTH"] = BODY_BYTES_MAX
        app.before_request(_check_host)
        for route in ROUTES:
            name = f"{route.method} {route.path}"
            app.add_url_rule(route.path, name, partial(self._call, route), methods=[route.method])
        app.add_url_rule("/health", "health", lambda: {"emulator": STRIPE})
        app.register_error_handler(404, _unrecognized)
        app.register_blueprint(checkout_page.pages(self.account))
        controls = Controls(self.account, self.clock, self.deliveries, self.faults, self._authenticate)
        app.register_blueprint(controls.blueprint())
        return app

    def _call(self, route: Route, id: str = "") -> Response:
        fault = self.faults.take(request.method, request.path)
        breaks = fault and fault.kind is not Kind.ERROR
        if fault and breaks and not fault.applied:
            return self._broken(fault)
        with self.account.lock:
            response = self._answer(route, id, None if breaks else fault)
        return self._broken(fault) if fault and breaks else response

    def _answer(self, route: Route, id: str, fault: Fault | None) -> Response:
        try:
            self._authenticate()
            if (version := request.headers.get("Stripe-Version", API_VERSION)) != API_VERSION:
                raise InvalidRequest(f"Invalid Stripe API version: {version[:40]}")
            parameters = parse((request.form if route.method == "POST" else request.args).items(multi=True))
            key = request.headers.get("Idempotency-Key") if route.method == "POST" else None
            if key is not None and (saved := self.saved.get(key, request.path, parameters)):
                return _http(saved, replayed=True)
            validated = route.parse(parameters)
            expire_due_sessions(self.account)
            answer = _execute(partial(route.respond, self.account, id, validated), fault)
            if key is not None:
                self.saved.save(key, request.path, parameters, answer)
            return _http(answer)
        except ApiError as error:
            return _http(_error(error))

    def _authenticate(self) -> None:
        """Raise Unauthorized unless the request has the account's secret key."""
        scheme, _, key = request.headers.get("Authorization", "").partition(" ")
        if scheme != "Bearer" or key != self.secret_key:
            raise Unauthorized(f"Invalid API Key provided: {key[:8]}****")

    def _broken(self, fault: Fault) -> Response:
        """Close the connection without a response."""
        if fault.kind is Kind.HANG:
            self.faults.stopped.wait(HANGS_SECONDS_MAX)
        connection: socket.socket = request.environ["werkzeug.socket"]
        connection.shutdown(socket.SHUT_RDWR)
        return Response(status=500)


def _execute(respond: Callable[[], objects.Object], fault: Fault | None) -> Answer:
    """Return the answer that is saved for the idempotency key. Raises ApiError if nothing was begun."""
    try:
        if fault and not fault.applied:
            raise ServerError("An error that a test ordered, before the call was applied.")
        body = json.dumps(respond(), indent=2).encode()
        if fault:
            raise ServerError("An error that a test ordered, after the call was applied.")
        return Answer(200, body)
    except InvalidRequest:
        raise
    except ApiError as error:
        return _error(error)


def _error(error: ApiError) -> Answer:
    return Answer(error.status, json.dumps(error.body, indent=2).encode())


def _http(answer: Answer, *, replayed: bool = False) -> Response:
    response = Response(answer.body, answer.status, content_type=_JSON)
    response.headers["Request-Id"] = objects.new_id("req")
    response.headers["Stripe-Version"] = API_VERSION
    if replayed:
        response.headers["Idempotent-Replayed"] = "true"
    if answer.status >= 500 and request.headers.get("Idempotency-Key"):
        response.headers["Stripe-Should-Retry"] = "false"  # the saved response would only be repeated
    return response


def _unrecognized(_error: Exception) -> Response:
    message = f"Unrecognized request URL ({request.method}: {request.path})."
    body = {"error": {"type": "invalid_request_error", "message": message}}
    return Response(json.dumps(body), 404, content_type=_JSON)


def _check_host() -> Response | None:
    """Refuse requests under another name of this machine, which a web page could have made."""
    if request.host.split(":")[0] in ("127.0.0.1", "localhost"):
        return None
    return Response("The emulator answers only to 127.0.0.1.", 403)
