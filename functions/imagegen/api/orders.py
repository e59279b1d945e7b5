"""The request models of createGenerationRequest and of its form in the REST API."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Literal

from pydantic import Discriminator, Field, Tag, ValidationInfo, field_validator

from imagegen.api.fields import (
    Address,
    ChosenColor,
    ChosenModel,
    ChosenSize,
    ChosenStyle,
    Flag,
    IdempotencyKey,
    MaxAgeSeconds,
    MaxCredits,
    ModeName,
    PhotoUrl,
    Prompt,
    Seed,
    WebhookUrl,
    refuse,
)
from imagegen.api.requests import OfUser, Request, example
from imagegen.domain.catalog import Model
from imagegen.domain.generation import Fingerprint, Key, Mode, Order, Reuse


class PhotoInput(Request):
    """A photo that the model starts from."""

    type: Literal["photo"]
    photo_url: PhotoUrl


class AddressInput(Request):
    """An address that the model starts from."""

    type: Literal["address"]
    address: Address


class ReuseWithin(Request):
    """The permission to reuse an image up to this age."""

    max_age_seconds: MaxAgeSeconds


def _kind_of_reuse(value: object) -> str | None:
    """Return the tag of the type that describes ``value``, so that a caller is told about one type only."""
    if isinstance(value, Mapping):
        return "within"
    return "flag" if value is None or isinstance(value, bool) else None


ReuseOption = Annotated[
    Annotated[Flag, Tag("flag")] | Annotated[ReuseWithin, Tag("within")],
    Discriminator(
        _kind_of_reuse,
        custom_error_type="reuse",
        custom_error_message="must be true, false or an object with maxAgeSeconds",
    ),
]


def _reuse(option: bool | ReuseWithin | None) -> Reuse | None:
    """Return the permission to reuse an image, or None without one."""
    if isinstance(option, ReuseWithin):
        return Reuse(timedelta(seconds=option.max_age_seconds))
    return Reuse() if option else None


class CreateGeneration(OfUser):
    """An order of an image, without a mode: the REST API always queues the request."""

    model_config = example(
        userId="user-100",
        model="Model A",
        style="oil painting",
        color="neon",
        size="1024x1024",
        prompt="a lighthouse at dusk",
    )

    model: ChosenModel
    style: ChosenStyle
    color: ChosenColor
    size: ChosenSize
    prompt: Prompt
    input: Annotated[PhotoInput | AddressInput, Field(discriminator="type")] | None = None
    max_credits: MaxCredits | None = None
    webhook_url: WebhookUrl | None = None
    idempotency_key: IdempotencyKey | None = None
    seed: Seed | None = None
    reuse: ReuseOption | None = Field(
        default=False,
        description="Answer with your newest completed request for the same image, if there is one: the same model, "
        "options, prompt, input and seed. It costs nothing.",
    )

    @field_validator("seed")
    @classmethod
    def _taken_by_the_model(cls, seed: int | None, info: ValidationInfo) -> int | None:
        model = info.data.get("model")
        if seed is not None and isinstance(model, Model) and not model.takes_seed:
            raise refuse(f"is not supported by {model.name}")
        return seed

    def order(self, fingerprint: Fingerprint, earlier_keys: tuple[Key, ...] = (), mode: Mode = Mode.ASYNC) -> Order:
        return Order(
            user_id=self.user_id,
            model=self.model,
            style=self.style,
            color=self.color,
            size=self.size,
            prompt=self.prompt,
            input=self.input.model_dump(by_alias=True) if self.input else None,
            fingerprint=fingerprint,
            idempotency_key=self.idempotency_key,
            earlier_keys=earlier_keys,
            mode=mode,
            webhook_url=self.webhook_url,
            seed=self.seed,
            reuse=_reuse(self.reuse),
            max_credits=self.max_credits,
        )


class CreateGenerationRequest(CreateGeneration):
    mode: ModeName = Mode.SYNC
