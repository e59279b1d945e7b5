"""Firebase endpoints for operations, task handlers and scheduled functions.

The SDK implements the callable protocol. This module adds the rest of the API's contract:

- A body that is not JSON is answered as INVALID_INPUT. In the SDK it is a crash.
- A refused token is answered with a reason.
- An exception is logged with its traceback.
- A scheduled function returns an answer.
"""

import functools
import json
import logging
import uuid
from collections.abc import Callable, Iterator
from typing import Any

from firebase_functions.https_fn import CallableRequest, FunctionsErrorCode, HttpsError, on_call
from firebase_functions.scheduler_fn import ScheduledEvent, on_schedule
from firebase_functions.tasks_fn import on_task_dispatched
from flask import Request, Response, g, jsonify
from flask_cors import cross_origin
from pydantic_core import from_json

from imagegen import bootstrap
from imagegen.api import logs
from imagegen.api.operation import Operation
from imagegen.errors import ApiError, Internal, InvalidInput, Unauthenticated

Wire = dict[str, Any]
Endpoint = Callable[[Request], Response]

BODY_BYTES_MAX = 64 * 1024
"""Far more than the longest valid request has."""

TOKEN_HEADERS = ("Authorization", "X-Firebase-AppCheck")
PRIVATE_FIELDS = {"prompt", "input", "photoUrl", "address", "reason", "webhookUrl"}

log = logging.getLogger(__name__)


def callable_function(operation: Operation[Any, Any], **options: Any) -> Endpoint:
    """Return the endpoint of an operation. It answers ApiErrors as such and all other exceptions as INTERNAL.

    Raises TypeError for anything but an Operation, so that every deployed function declares who may call it.
    """
    if not isinstance(operation, Operation):
        raise TypeError(f"{operation!r} is not an Operation: it does not declare who may call it")

    def answered(request: CallableRequest[Any]) -> Wire:
        try:
            return operation(bootstrap.backend(), request)
        except ApiError as error:
            raise _https_error(error) from None
        except Exception:  # noqa: BLE001 - logged, and answered as INTERNAL
            raise _https_error(_internal(operation.name)) from None

    answered.__name__ = operation.name  # the name of the deployed function
    called = on_call(**options)(answered)

    @cross_origin(methods="POST")
    @functools.wraps(called)  # copies the attributes that discovery looks for
    def endpoint(request: Request) -> Response:
        logs.configure()
        secrets = (secret for name in TOKEN_HEADERS for secret in logs.secrets_of(request.headers.get(name)))
        with logs.private(*secrets):
            try:
                data = _data_of(request)
            except InvalidInput as error:
                return _error_response(error)
            with logs.private(*_private_texts(data)):
                response: Response = called(request)  # type: ignore[arg-type]  # typed as taking a CallableRequest
        if response.status_code == 401 and "details" not in response.get_json()["error"]:
            # The SDK has refused the token.
            return _error_response(Unauthenticated("The token is invalid or expired. Sign in again."))
        return response

    return endpoint


def task_function(**options: Any) -> Callable[[Callable[[CallableRequest[Any]], None]], Endpoint]:
    """Return a decorator that makes the endpoint of a task handler. After any error, the queue delivers again."""

    def decorate(handler: Callable[[CallableRequest[Any]], None]) -> Endpoint:
        @on_task_dispatched(**options)
        @functools.wraps(handler)
        def delivered(task: CallableRequest[Any]) -> None:
            try:
                handler(task)
            except ApiError as error:
                log.warning("%s did not finish its task: %s", handler.__name__, error.message)
                raise _https_error(error) from None
            except Exception:  # noqa: BLE001 - logged, and answered as INTERNAL
                raise _https_error(_internal(handler.__name__)) from None

        @functools.wraps(delivered)
        def endpoint(request: Request) -> Response:
            logs.configure()
            try:
                _data_of(request)
            except InvalidInput as error:
                return _error_response(error)
            response: Response = delivered(request)  # type: ignore[call-arg, arg-type, assignment]
            return response

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

        @functools.wraps(run)
        def endpoint(request: Request) -> Response:
            logs.configure()
            run(request)  # type: ignore[call-arg, arg-type]  # typed as a response, but a function of a request
            answer: Response = g.answer
            return answer

        return endpoint

    return decorate


def _data_of(request: Request) -> Any:
    """Return the data of a request in the callable protocol: a POST of the JSON object ``{"data": …}``.

    Raises InvalidInput for any other request.
    """
    if request.method != "POST":
        raise _malformed("method", f"must be POST, not {request.method}")
    if request.mimetype != "application/json":
        raise _malformed("Content-Type", "must be application/json")
    sent = request.get_data()  # functions-framework reads the whole body later, and crashes if a limit is set on it
    if len(sent) > BODY_BYTES_MAX:
        raise _malformed("body", f"must have at most {BODY_BYTES_MAX} bytes")
    try:
        # Stricter than the SDK's parser, which crashes on deep nesting, NaN and lone surrogates.
        body = from_json(sent, allow_inf_nan=False)
    except ValueError as error:
        raise _malformed("body", f"is not valid JSON: {error}") from None
    if not isinstance(body, dict) or body.keys() != {"data"}:
        raise _malformed("body", 'must be {"data": {…}}, with no other key')
    return body["data"]


def _private_texts(data: Any) -> Iterator[str]:
    """Yield the texts in the private fields of a call."""
    if isinstance(data, dict):
        for name in data.keys() & PRIVATE_FIELDS:
            yield from _texts(data[name])


def _texts(value: Any) -> Iterator[str]:
    """Yield all strings in a value, at any depth."""
    match value:
        case str():
            yield value
        case dict() | list():
            for inner in value.values() if isinstance(value, dict) else value:
                yield from _texts(inner)


def _malformed(field: str, message: str) -> InvalidInput:
    return InvalidInput([{"field": field, "message": message}])


def _internal(function: str) -> Internal:
    """Log the current exception with a new correlation id. Return the error with that id for the caller."""
    correlation_id = uuid.uuid4().hex
    log.exception("%s failed, correlation id %s", function, correlation_id)
    return Internal(correlation_id)


def _https_error(error: ApiError) -> HttpsError:
    return HttpsError(FunctionsErrorCode(error.code.value), error.message, dict(error.details))


def _error_response(error: ApiError) -> Response:
    body = {"status": error.code.status, "message": error.message, "details": dict(error.details)}
    return Response(json.dumps({"error": body}), error.code.http_status, mimetype="application/json")
