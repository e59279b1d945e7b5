"""The operations on created generation requests: get, list, cancel, and replace the URLs of their images."""

from datetime import datetime
from typing import Annotated, Self

from pydantic import Field

from imagegen.api import page_tokens
from imagegen.api.auth import Access
from imagegen.api.fields import (
    PAGE_SIZE_DEFAULT,
    ColorName,
    DocumentId,
    Flag,
    ModelName,
    Moment,
    PageSize,
    SizeName,
    StyleName,
)
from imagegen.api.generation_details import ChargedRequest, GenerationRequestDetails
from imagegen.api.operation import Call, operation
from imagegen.api.requests import OfUser, Request, example
from imagegen.api.responses import NEXT_PAGE, REPLAYED, Number, Replayed, Response
from imagegen.bootstrap import Backend
from imagegen.domain.api_keys import Scope
from imagegen.domain.generation import GenerationRequest, Status
from imagegen.errors import Contention, NoStoredImage, RequestEnded, RequestNotFound, TooManyCanceled
from imagegen.services.generations.cancellation import Canceled
from imagegen.services.generations.queries import Filter, not_found
from imagegen.services.pagination import Page


class OfGenerationRequest(Request):
    """A request about one generation request."""

    model_config = example(generationRequestId="1aa7461d823928a4c28ea9321b47fa56")

    generation_request_id: DocumentId


class GetGenerationRequest(OfGenerationRequest):
    pass


class CancelGenerationRequest(OfGenerationRequest):
    pass


class ReplaceImageUrls(OfGenerationRequest):
    pass


_LIST_QUERY = ("user_id", "status", "model", "style", "color", "size", "created_from", "created_before")


class FilteredRequests(OfUser):
    """A filter of a user's requests. createdFrom is inclusive and createdBefore is exclusive."""

    status: Annotated[Status, Field(strict=False)] | None = None
    model: ModelName | None = None
    style: StyleName | None = None
    color: ColorName | None = None
    size: SizeName | None = None
    created_from: Moment | None = None
    created_before: Moment | None = None
    after: Annotated[
        tuple[datetime, str] | None,
        page_tokens.position(page_tokens.moment_and_id, *_LIST_QUERY),
        page_tokens.TOKEN_SCHEMA,
    ] = Field(default=None, alias="pageToken")

    @property
    def filter(self) -> Filter:
        fields = {
            "status": self.status and self.status.value,
            "model": self.model,
            "style": self.style,
            "color": self.color,
            "size": self.size,
        }
        return Filter(
            user_id=self.user_id,
            fields={name: value for name, value in fields.items() if value is not None},
            created_from=self.created_from,
            created_before=self.created_before,
        )

    def next_token(self, page: Page[GenerationRequest]) -> str | None:
        """Return the token of the page that follows, or None."""
        return page_tokens.after_moment(page_tokens.query_of(vars(self), _LIST_QUERY), page.next)


class ListGenerationRequests(FilteredRequests):
    """Filters and pagination. createdFrom is inclusive and createdBefore is exclusive."""

    model_config = example(userId="user-ada", status="failed", model="Model A", includeTotalCount=True, pageSize=20)

    include_total_count: Flag = False
    page_size: PageSize = PAGE_SIZE_DEFAULT


class CanceledGenerationRequest(ChargedRequest):
    status: Status
    current_credits: Number | None = Field(
        description="Your balance after the refund. In a replayed answer, it is your balance now."
    )
    replayed: Replayed = REPLAYED

    @classmethod
    def of(cls, canceled: Canceled) -> Self:
        return cls(
            **dict(ChargedRequest.model_validate(canceled.request)),
            status=canceled.request.status,
            current_credits=canceled.current_credits,
            replayed=canceled.is_replay or None,
        )


class GenerationRequestList(Response):
    requests: list[GenerationRequestDetails]
    next_page_token: str | None = Field(description=NEXT_PAGE)
    total_count: Number | None = Field(description="The number of requests on all pages, with includeTotalCount.")

    @classmethod
    def of(cls, params: ListGenerationRequests, page: Page[GenerationRequest], total_count: int | None) -> Self:
        return cls(
            requests=[GenerationRequestDetails.of(request) for request in page.items],
            next_page_token=params.next_token(page),
            total_count=total_count,
        )


@operation(RequestNotFound, access=Access.OWNER_OR_ADMIN, scope=Scope.READ)
def get_generation_request(backend: Backend, call: Call[GetGenerationRequest]) -> GenerationRequestDetails:
    """Returns all fields of one request."""
    request = backend.requests.get(call.params.generation_request_id)
    if not call.allows(request):
        raise not_found(request.id)
    return GenerationRequestDetails.of(request)


@operation(RequestNotFound, RequestEnded, TooManyCanceled, Contention, access=Access.OWNER, scope=Scope.GENERATE)
def cancel_generation_request(backend: Backend, call: Call[CancelGenerationRequest]) -> CanceledGenerationRequest:
    """Cancels one of the caller's pending or running requests and refunds its credits.

    The number of running requests that a user can cancel in a day is limited.
    """
    canceled = backend.cancellations.cancel(call.params.generation_request_id, call.allows)
    return CanceledGenerationRequest.of(canceled)


@operation(RequestNotFound, NoStoredImage, Contention, access=Access.OWNER, scope=Scope.GENERATE)
def replace_image_urls(backend: Backend, call: Call[ReplaceImageUrls]) -> GenerationRequestDetails:
    """Replaces the URLs of one of the caller's stored images. The old URLs stop working.

    A browser that has opened an old URL may show the image from its cache for up to an hour.
    """
    return GenerationRequestDetails.of(backend.image_urls.replace(call.params.generation_request_id, call.allows))


@operation(access=Access.OWNER_OR_ADMIN, scope=Scope.READ)
def list_generation_requests(backend: Backend, call: Call[ListGenerationRequests]) -> GenerationRequestList:
    """Returns a page of a user's requests, newest first. You can filter and count them."""
    params = call.params
    page = backend.requests.list(params.filter, params.page_size, params.after)
    count = backend.requests.count(params.filter) if params.include_total_count else None
    return GenerationRequestList.of(params, page, count)
