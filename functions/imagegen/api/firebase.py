"""Firebase endpoints for operations, the REST API, task handlers and scheduled functions.

The callable protocol
(https://firebase.google.com/docs/functions/callable-reference) is implemented here, because the SDK logs the tokens
that it refuses, and answers without the reasons of the API's contract.
"""

import functools
import json
import re
import sys
import uuid
from collections.abc import Callable, Mapping
from datetime import timedelta
from http import HTTPStatus
from importlib import import_module
from typing import TYPE_CHECKING, Any

from flask import Request, Response, g, jsonify
from flask_cors import cross_origin
from pydantic.alias_generators import to_camel

from imagegen import bootstrap, events, settings, tracing
from imagegen.api import bodies, logs
from imagegen.api.envelope import data_of
from imagegen.api.idempotency import REPLAYED_HEADER
from imagegen.api.operation import Operation, Received
from imagegen.documents.fields import Unreadable
from imagegen.domain.trace import trace_of
from imagegen.errors import ApiError, Internal
from imagegen.events import Event
from imagegen.services import unreadable

if TYPE_CHECKING:
    from firebase_functions.scheduler_fn import ScheduledEvent

Wire = dict[str, Any]
Endpoint = Callable[[Request], Response]

EVENT_STREAM = "text/event-stream"
PREFLIGHT_MAX_AGE = timedelta(hours=2)
"""The time that a browser may cache a preflight. No browser caches it longer."""

OPERATIONS: dict[str, Callable[[], Operation[Any, Any]]] = {}
"""For each callable function by its name, a function that imports and returns its operation."""


def set_options(**options: Any) -> None:
    """Set the options of all functions that are declared later."""
    if settings.served_function() is None:
        from firebase_functions.options import set_global_options

        set_global_options(**options)


def callable_function(place: str, **options: Any) -> Endpoint:
    """Return the endpoint of an operation. It answers ApiErrors as such and all other exceptions as INTERNAL.

    ``place`` is the operation's module in this package and its name there, such as ``catalog.get_catalog``. The module
    is imported now in a process that serves this function, and otherwise with the first call, because each process
    serves only one function. Raises TypeError for anything but an Operation, so that every served function declares who
    may call it.
    """
    module, _, name_there = place.partition(".")
    name = to_camel(name_there)

    @functools.cache
    def operation() -> Operation[Any, Any]:
        found = getattr(import_module(f"{__package__}.{module}"), name_there)
        if not isinstance(found, Operation):
            raise TypeError(f"{place} is not an Operation: it does not declare who may call it")
        return found

    if name == settings.served_function():
        operation()
    OPERATIONS[name] = operation

    @_declared("on_call", name, options)
    @_received
    @cross_origin(methods="POST", max_age=PREFLIGHT_MAX_AGE, expose_headers=["Retry-After", REPLAYED_HEADER])
    def endpoint(request: Request) -> Response:
        def result() -> Wire:
            return operation()(bootstrap.backend(), Received(data_of(request), request.headers))

        return _answered(request, name, result)

    return endpoint


def rest_function(**options: Any) -> Endpoint:
    """Return the endpoint of the REST API, the function ``api``."""

    @_declared("on_request", "api", options)
    @_received
    @cross_origin(
        methods=["GET", "POST"],
        max_age=PREFLIGHT_MAX_AGE,
        expose_headers=["Location", "Retry-After", REPLAYED_HEADER],
    )
    def endpoint(request: Request) -> Response:
        from imagegen.api.rest.endpoint import answer, problem  # no other function needs it

        logs.configure()
        try:
            return answer(bootstrap.backend(), request)
        except ApiError as error:
            return problem(error)
        except Exception:  # noqa: BLE001 - logged, and answered as INTERNAL
            return problem(_internal("api"))

    return endpoint


def http_function(bytes_max: int, **options: Any) -> Callable[[Endpoint], Endpoint]:
    """Return a decorator that makes the endpoint of a handler of raw bodies, of ``bytes_max`` bytes at most.

    An exception is logged, and answered with a status of 500, so that the caller sends the same again.
    """

    def decorate(handler: Endpoint) -> Endpoint:
        @_declared("on_request", handler.__name__, options)
        @functools.partial(_received, bytes_max=bytes_max)
        def endpoint(request: Request) -> Response:
            logs.configure()
            try:
                return handler(request)
            except Exception:  # noqa: BLE001 - logged, and answered as INTERNAL
                return _error_response(_internal(handler.__name__))

        return endpoint

    return decorate


def task_function(**options: Any) -> Callable[[Callable[[Any], None]], Endpoint]:
    """Return a decorator that makes the endpoint of a task handler. After any error, the queue delivers again."""

    def decorate(handler: Callable[[Any], None]) -> Endpoint:
        @_declared("on_task_dispatched", handler.__name__, options)
        @_received
        def endpoint(request: Request) -> Response:
            def run() -> None:
                data = data_of(request)
                try:
                    handler(data)
                except ApiError as error:
                    events.warning(Event.TASK_NOT_DONE, function=handler.__name__, reason=error.reason)
                    raise

            return _answered(request, handler.__name__, run)

        return endpoint

    return decorate


def scheduled_function(**options: Any) -> Callable[[Callable[["ScheduledEvent"], Wire]], Endpoint]:
    """Return a decorator that makes the endpoint of a scheduled handler. The answer is the handler's result as JSON.

    After an exception, the answer is a 500 with only a correlation id, and the scheduler tries again.
    """

    def decorate(handler: Callable[["ScheduledEvent"], Wire]) -> Endpoint:
        def run(event: "ScheduledEvent") -> None:
            try:
                g.answer = jsonify(handler(event))
            except Exception:  # noqa: BLE001 - logged, and answered as INTERNAL
                g.answer = _error_response(_internal(handler.__name__))

        @_declared("on_schedule", handler.__name__, options)
        @_received
        def endpoint(request: Request) -> Response:
            from firebase_functions.scheduler_fn import on_schedule  # parses the headers of Cloud Scheduler

            logs.configure()
            on_schedule(schedule=options["schedule"])(run)(request)  # type: ignore[call-arg, arg-type]  # typed as a response
            answer: Response = g.answer
            return answer

        return endpoint

    return decorate


def _declared(kind: str, name: str, options: Mapping[str, Any]) -> Callable[[Endpoint], Endpoint]:
    """Return a decorator that declares an endpoint to the CLI.

    A process that serves a function needs no declarations. There, the import of the SDK's decorators would take a
    seventh of a cold start.
    """

    def decorate(endpoint: Endpoint) -> Endpoint:
        if settings.served_function() is None:
            from imagegen.api.declarations import declare

            declare(endpoint, kind, name, options)
        return endpoint

    return decorate


def _received(endpoint: Endpoint, bytes_max: int = bodies.BYTES_MAX) -> Endpoint:
    """Return the endpoint with the body read first, so that nothing else reads more of it than its limits allow.

    The call continues the trace that its headers name.
    """

    @functools.wraps(endpoint)
    def received(request: Request) -> Response:
        headers = request.environ
        trace = trace_of(headers.get("HTTP_TRACEPARENT"), headers.get("HTTP_X_CLOUD_TRACE_CONTEXT"))
        tracing.begin(trace, _delivery_number(headers.get("HTTP_X_CLOUDTASKS_TASKRETRYCOUNT")))
        bodies.read(request, bytes_max)
        return endpoint(request)

    return received


def _delivery_number(retries: str | None) -> int | None:
    """Return the number of this delivery of a task, or None if the call is not one."""
    return int(retries) + 1 if retries and re.fullmatch("[0-9]{1,6}", retries) else None


def _answered(request: Request, function: str, answer: Callable[[], Wire | None]) -> Response:
    """Return what ``answer`` returns, or the error that it raises, in the callable protocol."""
    logs.configure()
    try:
        result = answer()
        response = jsonify(result=result)
        _mark_replay(response, result or {})
    except ApiError as error:
        response = _error_response(error)
    except Exception:  # noqa: BLE001 - logged, and answered as INTERNAL
        response = _error_response(_internal(function))
    if request.method != "POST":
        response.status_code = HTTPStatus.METHOD_NOT_ALLOWED
        response.headers["Allow"] = "POST, OPTIONS"
    if EVENT_STREAM in request.headers.get("Accept", ""):
        # The SDKs' stream() waits for events. A function that does not stream sends its answer as the only one.
        response.set_data(b"data: " + response.get_data().strip() + b"\n\n")
        response.mimetype = EVENT_STREAM
    return response


def _mark_replay(response: Response, facts: Mapping[str, Any]) -> None:
    """Add the header of replayed answers if ``facts``, a result or the details of an error, is one."""
    if facts.get("replayed"):
        response.headers[REPLAYED_HEADER] = "true"


def _internal(function: str) -> Internal:
    """Log the current exception with a new correlation id. Return the error with that id for the caller."""
    correlation_id = uuid.uuid4().hex
    if isinstance(error := sys.exception(), Unreadable):
        unreadable.log(error)
    events.exception(Event.CALL_FAILED, function=function, correlationId=correlation_id)
    return Internal(correlation_id)


def _error_response(error: ApiError) -> Response:
    body = {"status": error.code.status, "message": error.message, "details": dict(error.details)}
    response = Response(json.dumps({"error": body}), error.code.http_status, mimetype="application/json")
    _mark_replay(response, error.details)
    if (seconds := error.details.get("retryAfterSeconds")) is not None:
        response.headers["Retry-After"] = str(seconds)
    return response
