"""The controls for tests: the clock, failures and deliveries. They need the secret key, and JSON."""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial

from flask import Blueprint, Response, request
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tools.stripe_emulator.account import Account
from tools.stripe_emulator.clock import MovableClock
from tools.stripe_emulator.deliveries import Deliveries
from tools.stripe_emulator.errors import ApiError
from tools.stripe_emulator.faults import FAULTS_MAX, Fault, Faults, Kind
from tools.stripe_emulator.sessions import expire_due_sessions

SECONDS_MAX = 400 * 86_400
_WAIT_SECONDS_MAX = 60


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _Advance(_Model):
    seconds: float = Field(gt=0, le=SECONDS_MAX)


class _Fault(_Model):
    path: str = Field(max_length=200)
    method: str = "POST"
    kind: Kind = Kind.ERROR
    applied: bool = False
    times: int = Field(1, ge=1, le=FAULTS_MAX)


class _Hold(_Model):
    held: bool


class _Send(_Model):
    event: str


class _Wait(_Model):
    seconds: float = Field(30, gt=0, le=_WAIT_SECONDS_MAX)


@dataclass(frozen=True)
class Controls:
    """The controls of one emulator. ``authenticate`` raises ApiError for a request without the secret key."""

    account: Account
    clock: MovableClock
    deliveries: Deliveries
    faults: Faults
    authenticate: Callable[[], None]

    def blueprint(self) -> Blueprint:
        blueprint = Blueprint("controls", __name__, url_prefix="/_control")
        for method, path, control in (
            ("POST", "/clock", self._advance_clock),
            ("GET", "/faults", self._list_faults),
            ("POST", "/faults", self._add_fault),
            ("DELETE", "/faults", self._clear_faults),
            ("GET", "/deliveries", self._list_deliveries),
            ("POST", "/deliveries/hold", self._hold),
            ("POST", "/deliveries/send", self._send),
            ("POST", "/deliveries/wait", self._wait),
        ):
            blueprint.add_url_rule(path, f"{method} {path}", partial(self._run, control), methods=[method])
        return blueprint

    def _run(self, control: Callable[[bytes], object]) -> Response:
        try:
            self.authenticate()
            return _json(control(request.data))
        except ApiError as error:
            return _json(error.body, error.status)
        except ValidationError as error:
            return _json({"error": {"message": str(error)}}, 400)

    def _advance_clock(self, body: bytes) -> object:
        """Move the clock forward, expire sessions, and send what is then due."""
        self.clock.advance(_Advance.model_validate_json(body).seconds)
        with self.account.lock:
            expire_due_sessions(self.account)
        self.deliveries.wake()
        return {"now": self.clock.now()}

    def _add_fault(self, body: bytes) -> object:
        self.faults.add(Fault(**_Fault.model_validate_json(body).model_dump()))
        return {}

    def _list_faults(self, _body: bytes) -> object:
        """Return the failures that are still to come."""
        return [asdict(fault) for fault in self.faults.all()]

    def _clear_faults(self, _body: bytes) -> object:
        self.faults.clear()
        return {}

    def _list_deliveries(self, _body: bytes) -> object:
        return [
            {"event": delivery.event["id"], "type": delivery.event["type"], "statuses": list(delivery.statuses)}
            for delivery in self.deliveries.all()
        ]

    def _hold(self, body: bytes) -> object:
        """Send later events only when a test asks for it, or again by themselves."""
        self.deliveries.held = _Hold.model_validate_json(body).held
        return {}

    def _send(self, body: bytes) -> object:
        """Send an event once, now, whether it was sent before or not."""
        return {"status": self.deliveries.send(_Send.model_validate_json(body).event)}

    def _wait(self, body: bytes) -> object:
        """Wait until all events that are due were sent."""
        return {"done": self.deliveries.wait_until_sent(_Wait.model_validate_json(body).seconds)}


def _json(body: object, status: int = 200) -> Response:
    return Response(json.dumps(body), status, content_type="application/json")
