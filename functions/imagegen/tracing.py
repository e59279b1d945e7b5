"""The trace, and the request, that the current thread works on.

``api.logs`` adds them to each line of the log. Tasks and webhooks carry the trace on, and a request's document keeps
it, so that a sweep continues the trace of each request.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace

from imagegen.dataclass import dataclass
from imagegen.domain.generation import GenerationRequest
from imagegen.domain.trace import Trace
from imagegen.domain.webhooks import Delivery


@dataclass(frozen=True)
class Work:
    """The work of a thread. ``attempt`` counts the attempts of a webhook, or the deliveries of a task."""

    trace: Trace | None = None
    user_id: str | None = None
    request_id: str | None = None
    model: str | None = None
    attempt: int | None = None


_NOTHING = Work()
_current: ContextVar[Work] = ContextVar("work", default=_NOTHING)

current = _current.get
"""Return the work of the current thread."""


def begin(trace: Trace | None, attempt: int | None = None) -> None:
    """Begin a call, which forgets the work of the call before in the same thread."""
    _current.set(_NOTHING if trace is None and attempt is None else Work(trace, attempt=attempt))


def called_by(user_id: str | None) -> None:
    """Record the caller of the call."""
    if user_id is not None:
        _current.set(replace(_current.get(), user_id=user_id))


def continue_request(request: GenerationRequest) -> None:
    """Work on a request, in its own trace."""
    work = _current.get()
    trace = _continued(request.trace, work.trace)
    _current.set(Work(trace, request.user_id, request.id, request.model, work.attempt))


def continue_delivery(delivery: Delivery) -> None:
    """Work on the next attempt of a webhook, in the trace of its request."""
    trace = _continued(delivery.trace, _current.get().trace)
    _current.set(Work(trace, delivery.user_id, delivery.generation_request_id, attempt=delivery.attempt_count + 1))


@contextmanager
def own_work() -> Iterator[None]:
    """Forget within the block what the thread works on, and remember it afterwards."""
    token = _current.set(_NOTHING)
    try:
        yield
    finally:
        _current.reset(token)


def headers() -> Mapping[str, str]:
    """Return the header that continues the trace in another process, or nothing without a trace."""
    trace = _current.get().trace
    return {} if trace is None else {"traceparent": trace.traceparent}


def _continued(own: Trace | None, current: Trace | None) -> Trace | None:
    """Return the trace of a document, with the current span if the current call belongs to the same trace."""
    if own is None or (current is not None and current.trace_id == own.trace_id):
        return current
    return own
