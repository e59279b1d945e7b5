"""The function that Stripe calls with its events."""

from http import HTTPStatus

from flask import Request, Response, jsonify

from imagegen import bootstrap, events
from imagegen.api import bodies
from imagegen.domain.ledger import TooManyDebts
from imagegen.errors import PaymentsUnavailable, ServiceUnavailable
from imagegen.events import Event, type_of
from imagegen.ports.database import CommitRefused, DatabaseUnavailable, OutcomeUnknown
from imagegen.ports.payments import NotAnEvent, PaymentsDown, PaymentsRefused

SIGNATURE = "Stripe-Signature"

NOT_NOW = (
    PaymentsDown,
    PaymentsRefused,
    TooManyDebts,
    DatabaseUnavailable,
    CommitRefused,
    OutcomeUnknown,
)
"""The errors after which Stripe must send the event again. It does so for three days."""


def answer(request: Request) -> Response:
    """Return the answer to a webhook: 2xx only after the commit, 400 for what is not Stripe's, and otherwise 5xx."""
    if request.method != "POST":
        response = _refused(HTTPStatus.METHOD_NOT_ALLOWED, "METHOD_NOT_ALLOWED")
        response.headers["Allow"] = "POST"
        return response
    if bodies.problem_of(request) is not None:
        return _refused(HTTPStatus.BAD_REQUEST, "INVALID_EVENT")
    try:
        ignored = bootstrap.backend().payment_events.receive(request.get_data(), request.headers.get(SIGNATURE))
    except NotAnEvent:
        return _refused(HTTPStatus.BAD_REQUEST, "INVALID_EVENT")
    except PaymentsUnavailable as off:
        return _refused(HTTPStatus.SERVICE_UNAVAILABLE, off.reason)
    except NOT_NOW as error:
        events.warning(Event.PAYMENT_EVENT_FAILED, error=type_of(error))
        return _refused(HTTPStatus.SERVICE_UNAVAILABLE, ServiceUnavailable.reason)
    return jsonify(received=True) if ignored is None else jsonify(received=True, ignored=ignored.value)


def _refused(status: HTTPStatus, reason: str) -> Response:
    response = jsonify(reason=reason)
    response.status_code = status
    return response
