"""A callable function of the API as one value: what it takes, what it answers, what it may be refused with."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from inspect import getdoc
from typing import Any, Generic, TypeVar, get_type_hints

from firebase_functions.https_fn import CallableRequest

from imagegen.api.auth import Caller
from imagegen.api.context import Context
from imagegen.api.fields import HEADER_KEY_PATTERN
from imagegen.api.requests import Request
from imagegen.api.responses import Response
from imagegen.api.validation import parse
from imagegen.bootstrap import Backend
from imagegen.errors import (
    ApiError,
    AppCheckRequired,
    Contention,
    Internal,
    InvalidInput,
    PermissionDenied,
    ServiceUnavailable,
    Unauthenticated,
)
from imagegen.ports.database import CommitRefused, DatabaseUnavailable, OutcomeUnknown

KEY_HEADER = "Idempotency-Key"

EVERYWHERE: tuple[type[ApiError], ...] = (
    InvalidInput,
    Unauthenticated,
    AppCheckRequired,
    PermissionDenied,
    ServiceUnavailable,
    Internal,
)
"""What every function may be refused with."""

W = TypeVar("W", bound=Request)
R = TypeVar("R", bound=Response)
Wire = dict[str, Any]


@dataclass(frozen=True)
class Call(Generic[W]):
    """A valid call: whose it is, what it asks for, and the data as it was sent."""

    caller: Caller
    params: W
    data: Any


@dataclass(frozen=True)
class Operation(Generic[W, R]):
    """``handle`` does what is asked; ``repeated`` answers a call that is invalid now and was valid before."""

    request: type[W]
    response: type[R]
    errors: tuple[type[ApiError], ...]
    description: str
    handle: Callable[[Backend, Call[W]], R]
    repeated: Callable[[Backend, Context, Any], R | None] | None = None

    @property
    def takes_key(self) -> bool:
        """Whether it may be called with an idempotency key, in its data or in the header."""
        return "idempotency_key" in self.request.model_fields

    def __call__(self, backend: Backend, received: CallableRequest[Any]) -> Wire:
        """The answer as it is sent. Raises ApiError."""
        caller = Caller.of(received)
        context = Context(caller, backend.catalogs.current)
        data = self._with_key(received)
        try:
            return self._answer(backend, context, data).wire()
        except DatabaseUnavailable as error:
            raise ServiceUnavailable("The database cannot be reached. Nothing was changed; try again.") from error
        except CommitRefused as error:
            raise Contention("Too many simultaneous changes. Nothing was changed; try again.") from error
        except OutcomeUnknown as error:
            raise ServiceUnavailable("The database did not confirm the change. Send the same call again.") from error

    def _answer(self, backend: Backend, context: Context, data: Any) -> R:
        try:
            params = parse(self.request, data, context)
        except InvalidInput:
            earlier = self.repeated(backend, context, data) if self.repeated else None
            if earlier is None:
                raise
            return earlier
        return self.handle(backend, Call(context.caller, params, data))

    def _with_key(self, received: CallableRequest[Any]) -> Any:
        """The call's data, with the idempotency key of the Idempotency-Key header if it has none of its own.

        Raises InvalidInput for two keys that differ, and for a header that its reader may take for another key than
        its writer did.
        """
        data = received.data
        key = received.raw_request.headers.get(KEY_HEADER)
        if key is None or not self.takes_key or not isinstance(data, dict):
            return data
        if not re.fullmatch(HEADER_KEY_PATTERN, key):
            message = f"must hold printable ASCII characters only in the {KEY_HEADER} header"
            raise InvalidInput([{"field": "idempotencyKey", "message": message}])
        if data.get("idempotencyKey") not in (None, key):
            raise InvalidInput([{"field": "idempotencyKey", "message": f"differs from the {KEY_HEADER} header"}])
        return {**data, "idempotencyKey": key}


def operation(
    *errors: type[ApiError], repeated: Callable[[Backend, Context, Any], Any] | None = None
) -> Callable[[Callable[[Backend, Call[W]], R]], Operation[W, R]]:
    """Makes an operation of a function; ``errors`` are what it may raise besides ``EVERYWHERE``."""

    def decorate(handle: Callable[[Backend, Call[W]], R]) -> Operation[W, R]:
        hints = get_type_hints(handle)
        [request] = hints["call"].__args__
        return Operation(request, hints["return"], (*EVERYWHERE, *errors), getdoc(handle) or "", handle, repeated)

    return decorate
