"""The fields of a generation request in responses."""

from pydantic import AliasPath, Field

from imagegen.api.responses import Described, Milliseconds, Number, Response, Time
from imagegen.domain.generation import FailureReason, Mode, Status


class ChargedRequest(Response):
    """A generation request, and the credits that it cost. Each answer about a request has these fields."""

    generation_request_id: str = Field(validation_alias="id")
    cost: Number = Field(
        validation_alias=AliasPath("charge", "cost"), description="The credits that were deducted for the request."
    )
    refunded_credits: Number = Field(
        validation_alias=AliasPath("charge", "refunded_credits"),
        description="The credits that were refunded until now: 0 or all of the cost.",
    )
    net_credits: Number = Field(
        validation_alias=AliasPath("charge", "net_credits"), description="cost - refundedCredits."
    )


class Failure(Described):
    reason: FailureReason
    message: str


class ImageDetails(Response):
    """A file of an image: its URL, its size in pixels, its type and its length."""

    url: str
    width: Number
    height: Number
    content_type: str
    bytes: Number


class ImageVariant(ImageDetails):
    """A smaller version of the image."""

    name: str


class ImagedRequest(ChargedRequest):
    """A generation request, and its image. A model that serves its images elsewhere has only their URLs."""

    image_url: str | None = Field(
        description="The URL of the image, if it is made.", examples=["http://127.0.0.1:5000/models/model-a.webp"]
    )
    image: ImageDetails | None = Field(
        validation_alias="main_file", description="The image, if it is made and stored here."
    )
    variants: list[ImageVariant] | None = Field(description="Smaller versions of the image.")
    seed: int | None = Field(description="The seed of the image, if the model uses one.")


class GenerationRequestDetails(ImagedRequest, Described):
    user_id: str
    status: Status
    model: str
    style: str
    color: str
    size: str
    prompt: str
    input: dict[str, str] | None = Field(description="The input, as the caller sent it.")
    refunded: bool = Field(validation_alias="is_refunded", description="True if the credits were refunded.")
    mode: Mode
    created_at: Time
    started_at: Time | None
    finished_at: Time | None
    processing_time_ms: Milliseconds | None = Field(
        validation_alias="processing_time", description="The time from startedAt to finishedAt."
    )
    error: Failure | None = Field(validation_alias="failure")
