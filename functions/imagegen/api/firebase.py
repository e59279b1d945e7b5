"""Firebase endpoints for operations, task handlers and scheduled functions.

The SDK declares the functions to the CLI. The callable protocol
(https://firebase.google.com/docs/functions/callable-reference) is implemented here, because the SDK logs the tokens
that it refuses, and answers without the reasons of the API's contract.
"""

import functools
import json
import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from firebase_functions.https_fn import CallableRequest, on_call
from firebase_functions.scheduler_fn import ScheduledEvent, on_schedule
from firebase_functions.tasks_fn import on_task_dispatched
from flask import Request, Response, g, jsonify
from flask_cors import cross_origin
from pydantic_core import from_json

from imagegen import bootstrap, events
from imagegen.api import bodies, logs
from imagegen.api.operation import Operation, Received
from imagegen.errors import ApiError, Internal, InvalidInput
from imagegen.events import Event

Wire = dict[str, Any]
Endpoint = Callable[[Request], Response]

PREFLIGHT_MAX_AGE = timedelta(hours=2)
"""How long a browser may cache a preflight. No browser caches it longer."""


def callable_function(operation: Operation[Any, Any], **options: Any) -> Endpoint:
    """Return the endpoint of an operation. It answers ApiErrors as such and all other exceptions as INTERNAL.

    Raises TypeError for anything but an Operation, so that every deployed function declares who may call it.
    """
    if not isinstance(operation, Operation):
        raise TypeError(f"{operation!r} is not an Operation: it does not declare who may call it")

    def declared(_call: CallableRequest[Any]) -> None:
        """Stand for the operation in the SDK, which reads its name."""

    declared.__name__ = operation.name  # the name of the deployed function

    @_with_bounded_body
    @cross_origin(methods="POST", max_age=PREFLIGHT_MAX_AGE, expose_headers=["Retry-After"])
    @functools.wraps(on_call(**options)(declared))  # copies the attributes that discovery looks for
    def endpoint(request: Request) -> Response:
        def answer() -> Wire:
            return operation(bootstrap.backend(), Received(_data_of(request), request.headers))

        return _answered(operation.name, answer)

    return endpoint


def task_function(**options: Any) -> Callable[[Callable[[Any], None]], Endpoint]:
    """Return a decorator that makes the endpoint of a task handler. After any error, the queue delivers again."""

    def decorate(handler: Callable[[Any], None]) -> Endpoint:
        @_with_bounded_body
        @functools.wraps(on_task_dispatched(**options)(handler))  # copies the attributes that discovery looks for
        def endpoint(request: Request) -> Response:
            def run() -> None:
                data = _data_of(request)
                try:
                    handler(data)
                except ApiError as error:
                    events.warning(Event.TASK_NOT_DONE, function=handler.__name__, reason=error.reason)
                    raise

            return _answered(handler.__name__, run)

        return endpoint

    return decorate


def scheduled_function(**options: Any) -> Callable[[Callable[[ScheduledEvent], Wire]], Endpoint]:
    """Return a decorator that makes the endpoint of a scheduled handler. The answer is the handler's result as JSON.

    After an exception, the answer is a 500 with only a correlation id, and the scheduler tries again.
    """

    def decorate(handler: Callable[[ScheduledEvent], Wire]) -> Endpoint:
        @on_schedule(**options)
        @functools.wraps(handler)
        def run(event: ScheduledEvent) -> None:
            try:
                g.answer = jsonify(handler(event))
            except Exception:  # noqa: BLE001 - logged, and answered as INTERNAL
                g.answer = _error_response(_internal(handler.__name__))

        @_with_bounded_body
        @functools.wraps(run)
        def endpoint(request: Request) -> Response:
            logs.configure()
            run(request)  # type: ignore[call-arg, arg-type]  # typed as a response, but a function of a request
            answer: Response = g.answer
            return answer

        return endpoint

    return decorate


def _with_bounded_body(endpoint: Endpoint) -> Endpoint:
    """Return the endpoint with the body read first, so that nothing else reads more of it than its limits allow."""

    @functools.wraps(endpoint)
    def bounded(request: Request) -> Response:
        g.body_problem = bodies.read(request)
        return endpoint(request)

    return bounded


def _answered(function: str, answer: Callable[[], object]) -> Response:
    """Return what ``answer`` returns, or the error that it raises, in the callable protocol."""
    logs.configure()
    try:
        return jsonify(result=answer())
    except ApiError as error:
        return _error_response(error)
    except Exception:  # noqa: BLE001 - logged, and answered as INTERNAL
        return _error_response(_internal(function))


def _data_of(request: Request) -> Any:
    """Return the data of a request in the callable protocol: a POST of the JSON object ``{"data": …}``.

    Raises InvalidInput for any other request.
    """
    if (problem := g.body_problem) is not None:
        raise _malformed("body", problem)
    if request.method != "POST":
        raise _malformed("method", f"must be POST, not {request.method}")
    if request.mimetype != "application/json":
        raise _malformed("Content-Type", "must be application/json")
    try:
        content = from_json(request.get_data(), allow_inf_nan=False)
    except ValueError as error:
        raise _malformed("body", f"is not valid JSON: {error}") from None
    if not isinstance(content, dict) or content.keys() != {"data"}:
        raise _malformed("body", 'must be {"data": {…}}, with no other key')
    return content["data"]


def _malformed(field: str, message: str) -> InvalidInput:
    return InvalidInput([{"field": field, "message": message}])


def _internal(function: str) -> Internal:
    """Log the current exception with a new correlation id. Return the error with that id for the caller."""
    correlation_id = uuid.uuid4().hex
    events.exception(Event.CALL_FAILED, function=function, correlationId=correlation_id)
    return Internal(correlation_id)


def _error_response(error: ApiError) -> Response:
    body = {"status": error.code.status, "message": error.message, "details": dict(error.details)}
    response = Response(json.dumps({"error": body}), error.code.http_status, mimetype="application/json")
    if (seconds := error.details.get("retryAfterSeconds")) is not None:
        response.headers["Retry-After"] = str(seconds)
    return response
