"""Operations: the callable functions of the API, with their access, request, response and errors."""

from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from inspect import getdoc
from typing import Any, Generic, Protocol, TypeVar, get_type_hints

from pydantic.alias_generators import to_camel
from werkzeug.datastructures import Headers

from imagegen import tracing
from imagegen.api.auth import Access, Caller
from imagegen.api.context import Context
from imagegen.api.idempotency import KEY_HEADER, header_key
from imagegen.api.requests import Repeat, Request
from imagegen.api.responses import Response
from imagegen.api.validation import parse
from imagegen.bootstrap import Backend
from imagegen.dataclass import dataclass
from imagegen.domain.api_keys import ApiKey, Scope
from imagegen.errors import (
    AccountDeleted,
    AccountLost,
    ApiError,
    AppCheckRequired,
    Contention,
    EmailNotVerified,
    Internal,
    InvalidInput,
    PermissionDenied,
    RateLimited,
    ScopeMissing,
    ServiceUnavailable,
    Unauthenticated,
    UserNotFound,
)
from imagegen.ports.database import CommitRefused, DatabaseUnavailable, OutcomeUnknown

COMMON_ERRORS: tuple[type[ApiError], ...] = (
    InvalidInput,
    Unauthenticated,
    AppCheckRequired,
    ScopeMissing,
    RateLimited,
    AccountDeleted,
    ServiceUnavailable,
    Internal,
)
"""The errors of every function."""

READS_USER = {UserNotFound, AccountLost}
"""The errors of operations that read the document of the user whom a call names."""

W = TypeVar("W", bound=Request)
R = TypeVar("R", bound=Response)
Wire = dict[str, Any]


@dataclass(frozen=True)
class Received:
    """A call as it was received."""

    data: Any
    headers: Headers
    earlier_keys: tuple[str, ...] = ()


class Owned(Protocol):
    """A stored document that belongs to a user."""

    @property
    def user_id(self) -> str: ...


@dataclass(frozen=True)
class Call(Generic[W]):
    """A valid call that ``access`` allows. ``data`` is the data as sent, with the key of the header.

    ``earlier_keys`` are the idempotency keys that earlier versions of the backend read from the same header.
    """

    access: Access
    caller: Caller
    params: W
    data: Any
    headers: Headers
    earlier_keys: tuple[str, ...] = ()

    def allows(self, document: Owned) -> bool:
        """Return whether the caller may access ``document``. A handler checks this if the params do not name a user."""
        return self.access.allows(self.caller, document.user_id)


@dataclass(frozen=True)
class Operation(Generic[W, R]):
    """A callable function of the API.

    ``handle`` handles a valid call. ``repeated`` returns the stored answer to a repeated call that is no longer valid,
    or None. ``spends`` is True if a call costs credits, so the caller must be verified. ``scope`` is the scope of the
    API keys that may call. If it is None, no API key may call. ``own_errors`` are the errors that do not follow from
    the other fields.
    """

    request: type[W]
    response: type[R]
    access: Access
    spends: bool
    scope: Scope | None
    own_errors: tuple[type[ApiError], ...]
    description: str
    handle: Callable[[Backend, Call[W]], R]
    repeated: Callable[[Backend, Call[Repeat]], R | None] | None = None

    @cached_property
    def name(self) -> str:
        """The name of the deployed function."""
        return to_camel(self.handle.__name__)

    @property
    def who_may_call(self) -> str:
        """The callers that may call, as the documentation shows them."""
        verified = ", with a verified e-mail address or phone number" if self.spends else ""
        keys = f"; API keys with the scope `{self.scope}`" if self.scope else ""
        return self.access.value + verified + keys

    @property
    def names_owner(self) -> bool:
        """True if a call names a user, and False if it names a document of a user."""
        return "user_id" in self.request.model_fields

    @property
    def errors(self) -> tuple[type[ApiError], ...]:
        """All errors of the operation."""
        is_checked = self.access is Access.ADMIN or (self.names_owner and self.access is not Access.SIGNED_IN)
        denied = (PermissionDenied,) if is_checked else ()
        unverified = (EmailNotVerified,) if self.spends else ()
        return (*COMMON_ERRORS, *denied, *unverified, *self.own_errors)

    @cached_property
    def takes_key(self) -> bool:
        """True if a call can have an idempotency key, in its data or in the header."""
        return "idempotency_key" in self.request.model_fields

    def __call__(self, backend: Backend, received: Received) -> Wire:
        """Handle a call and return the answer as JSON data. Raises ApiError."""

        def find_key(secret: str) -> ApiKey | None:
            return backend.api_keys.find(secret)  # the service is imported with the first key

        caller = Caller.of(received.headers, backend.call_rates.admit, find_key)
        tracing.called_by(caller.uid)
        caller.check_scope(self.scope)
        try:
            return self._handled(backend, caller, received)
        finally:
            if caller.api_key is not None:
                backend.api_keys.record_use(caller.api_key)

    def _handled(self, backend: Backend, caller: Caller, received: Received) -> Wire:
        context = Context(caller, backend.catalogs.current)
        received = self._with_key(received)
        try:
            return self._answer(backend, context, received).wire()
        except DatabaseUnavailable as error:
            raise ServiceUnavailable("The database cannot be reached. Nothing was changed. Try again.") from error
        except CommitRefused as error:
            raise Contention("Too many simultaneous changes. Nothing was changed. Try again.") from error
        except OutcomeUnknown as error:
            raise ServiceUnavailable("The database did not confirm the change. Send the same call again.") from error

    def _answer(self, backend: Backend, context: Context, received: Received) -> R:
        try:
            params = parse(self.request, received.data, context)
        except InvalidInput:
            earlier = self._answered_earlier(backend, context, received)
            if earlier is None:
                raise
            return earlier
        call = self._allowed(context.caller, params, received)
        if self.spends:
            call.caller.check_may_spend()
        self._refuse_deleted(backend, call)
        return self.handle(backend, call)

    def _refuse_deleted(self, backend: Backend, call: Call[Any]) -> None:
        """Raise AccountDeleted if the call is about a deleted account, or comes from one.

        An operation on a user that can raise READS_USER reads the user's document, and finds that out by itself.
        """
        named = getattr(call.params, "user_id", None)
        read_later = named if self.names_owner and not READS_USER.isdisjoint(self.own_errors) else None
        unread = [user_id for user_id in dict.fromkeys((named, call.caller.uid)) if user_id not in (None, read_later)]
        if unread:
            backend.accounts.check_not_deleted(*unread)

    def _answered_earlier(self, backend: Backend, context: Context, received: Received) -> R | None:
        """Return the stored answer to the earlier call that this invalid call repeats, or None."""
        if self.repeated is None:
            return None
        try:
            params = parse(Repeat, received.data, context)
        except InvalidInput:
            return None
        return self.repeated(backend, self._allowed(context.caller, params, received))

    def _allowed(self, caller: Caller, params: Request, received: Received) -> Call[Any]:
        """Return the call if the caller may make it. Raises PermissionDenied."""
        self.access.check(caller, getattr(params, "user_id", None))
        return Call(self.access, caller, params, received.data, received.headers, received.earlier_keys)

    def _with_key(self, received: Received) -> Received:
        """Return the call with the key of the Idempotency-Key header in its data, if any, and with its earlier keys.

        Raises InvalidInput if the data has another key, or if the header is invalid.
        """
        data = received.data
        header = received.headers.get(KEY_HEADER)
        if header is None or not self.takes_key or not isinstance(data, dict):
            return received
        key, earlier_key = header_key(header)
        if data.get("idempotencyKey") not in (None, key):
            raise InvalidInput([{"field": "idempotencyKey", "message": f"differs from the {KEY_HEADER} header"}])
        earlier_keys = () if earlier_key is None else (earlier_key,)
        return replace(received, data={**data, "idempotencyKey": key}, earlier_keys=earlier_keys)


def operation(
    *errors: type[ApiError],
    access: Access,
    spends: bool = False,
    scope: Scope | None = None,
    repeated: Callable[[Backend, Call[Repeat]], Any] | None = None,
) -> Callable[[Callable[[Backend, Call[W]], R]], Operation[W, R]]:
    """Return a decorator that makes an operation of a function.

    The function is called only if ``access`` allows the call. It may raise ``errors``.
    """

    def decorate(handle: Callable[[Backend, Call[W]], R]) -> Operation[W, R]:
        hints = get_type_hints(handle)
        [request] = hints["call"].__args__
        return Operation(
            request, hints["return"], access, spends, scope, errors, getdoc(handle) or "", handle, repeated
        )

    return decorate


def variant(
    of: Operation[Any, Any],
    *errors: type[ApiError],
    repeated: Callable[[Backend, Call[Repeat]], Any] | None = None,
) -> Callable[[Callable[[Backend, Call[W]], R]], Operation[W, R]]:
    """Return a decorator for another form of an operation: another request and response, for the same callers.

    It raises ``errors``, or the same errors as ``of``.
    """
    return operation(*(errors or of.own_errors), access=of.access, spends=of.spends, scope=of.scope, repeated=repeated)
