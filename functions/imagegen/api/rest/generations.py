"""The operations on generation requests that the REST API has in another form."""

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, ValidationInfo
from werkzeug.datastructures import Headers
from werkzeug.http import parse_dict_header

from imagegen.api.fields import LIMIT_DEFAULT, TOTAL_MAX, Limit, Offset, refuse
from imagegen.api.fingerprints import fingerprint
from imagegen.api.generation_details import GenerationRequestDetails
from imagegen.api.generations import create_generation_request
from imagegen.api.operation import Call, variant
from imagegen.api.orders import CreateGeneration
from imagegen.api.requests import Repeat, example
from imagegen.api.responses import NEXT_PAGE, Number, Response
from imagegen.api.stored_generations import FilteredRequests, list_generation_requests
from imagegen.bootstrap import Backend
from imagegen.domain.generation import Fingerprint, GenerationRequest, Key, Mode
from imagegen.errors import (
    Contention,
    IdempotencyMismatch,
    InsufficientCredits,
    PriceTooHigh,
    TooManyRunning,
    UserNotFound,
)
from imagegen.services.generations.create import Created
from imagegen.services.pagination import Page

WAIT_MAX = 50
"""The longest time in seconds that a call waits for its request. Firebase Hosting ends a call after 60 seconds."""


def _without_token(offset: int, info: ValidationInfo) -> int:
    """Return the offset, if the page does not start after a token too."""
    if offset and info.data.get("after") is not None:
        raise refuse("must be left out if there is a page token")
    return offset


class ListGenerations(FilteredRequests):
    """Filters and pagination in the REST API. createdFrom is inclusive and createdBefore is exclusive."""

    model_config = example(userId="user-ada", status="failed", model="Model A", limit=20, offset=0)

    limit: Limit = LIMIT_DEFAULT
    offset: Annotated[Offset, AfterValidator(_without_token)] = 0


class CreatedGeneration(GenerationRequestDetails):
    """The created request in the REST API, as it is now."""

    replayed: Literal[True] | None = Field(
        default=None, description="True if an earlier call with the same idempotency key created the request."
    )
    reused: Literal[True] | None = Field(
        default=None, description="True if this is an earlier request for the same image. This call costs nothing."
    )

    @classmethod
    def of_call(cls, request: GenerationRequest, created: Created) -> Self:
        """Return the answer to a call that created, repeated or reused a request, which is ``request`` by now."""
        flags = {"replayed": created.is_replay or None, "reused": created.is_reused or None}
        return cls.of(request).model_copy(update=flags)


class GenerationList(Response):
    """A page of requests in the REST API."""

    items: list[GenerationRequestDetails]
    total: Number = Field(description=f"The number of requests on all pages. It is not counted beyond {TOTAL_MAX:,}.")
    limit: Number
    offset: Number
    next: str | None = Field(description=NEXT_PAGE)

    @classmethod
    def of(cls, params: ListGenerations, page: Page[GenerationRequest], total: int) -> Self:
        return cls(
            items=[GenerationRequestDetails.of(request) for request in page.items],
            total=total,
            limit=params.limit,
            offset=params.offset,
            next=params.next_token(page),
        )


def wait_seconds(headers: Headers) -> int:
    """Return the seconds that ``Prefer: wait=N`` asks for, up to WAIT_MAX. An unknown preference is ignored.

    The header is defined in https://www.rfc-editor.org/rfc/rfc7240#section-4.3
    """
    preferences = parse_dict_header(",".join(headers.getlist("Prefer")))
    seconds = (preferences.get("wait") or "").partition(";")[0].strip()
    if not (seconds.isascii() and seconds.isdecimal()):
        return 0
    return WAIT_MAX if len(seconds) > len(str(WAIT_MAX)) else min(int(seconds), WAIT_MAX)


def _fingerprint(backend: Backend, data: Any) -> Fingerprint:
    """Return the fingerprint that createGenerationRequest gives the same payload in mode async."""
    return fingerprint({**data, "mode": Mode.ASYNC.value}, backend.catalogs.current())


def _answered_earlier(backend: Backend, call: Call[Repeat]) -> CreatedGeneration | None:
    key = Key(call.params.idempotency_key, _fingerprint(backend, call.data))
    earlier = backend.generations.repeat(call.params.user_id, key)
    return None if earlier is None else CreatedGeneration.of_call(earlier.request, earlier)


@variant(
    create_generation_request,
    UserNotFound,
    TooManyRunning,
    PriceTooHigh,
    InsufficientCredits,
    IdempotencyMismatch,
    Contention,
    repeated=_answered_earlier,
)
def create_generation(backend: Backend, call: Call[CreateGeneration]) -> CreatedGeneration:
    """Takes the credits and queues the request. With `Prefer: wait=N`, waits up to N seconds until it has ended.

    Returns the request as it is then. A repeated call with the same idempotency key does not wait.
    """
    created = backend.generations.create(call.params.order(_fingerprint(backend, call.data)))
    request = created.request
    if not created.is_replay:
        request = backend.requests.wait(request, wait_seconds(call.headers))
    return CreatedGeneration.of_call(request, created)


@variant(list_generation_requests)
def list_generations(backend: Backend, call: Call[ListGenerations]) -> GenerationList:
    """Returns a page of a user's requests, newest first. You can filter them."""
    params = call.params
    page = backend.requests.list(params.filter, params.limit, params.after, params.offset)
    return GenerationList.of(params, page, backend.requests.count(params.filter, TOTAL_MAX))
