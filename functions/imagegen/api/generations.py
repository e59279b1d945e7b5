"""The operation that creates a generation request."""

from typing import Any, Literal, Self

from pydantic import Field

from imagegen.api import fingerprints
from imagegen.api.auth import Access
from imagegen.api.generation_details import Failure, ImagedRequest
from imagegen.api.operation import Call, operation
from imagegen.api.orders import CreateGenerationRequest
from imagegen.api.requests import Repeat
from imagegen.api.responses import REPLAYED, Number, Replayed
from imagegen.bootstrap import Backend
from imagegen.domain.api_keys import Scope
from imagegen.domain.generation import Fingerprint, Key, Mode, Status
from imagegen.errors import (
    Contention,
    ContentRefused,
    ContentRefusedBefore,
    GenerationAbandoned,
    GenerationAbandonedBefore,
    GenerationCanceled,
    GenerationCanceledBefore,
    GenerationFailed,
    GenerationFailedBefore,
    GenerationTimeout,
    GenerationTimeoutBefore,
    IdempotencyMismatch,
    ImageNotStored,
    ImageNotStoredBefore,
    InsufficientCredits,
    ModelUnavailable,
    ModelUnavailableBefore,
    PriceTooHigh,
    RequestInProgress,
    SettlementPending,
    TooManyRunning,
    UserNotFound,
)
from imagegen.services.generations.create import Created


class CreatedGenerationRequest(ImagedRequest):
    """The created request, with its image in mode sync or its status in mode async."""

    deducted_credits: Number = Field(description="The same as cost, or 0 if the request is reused.")
    status: Status | None = Field(description="The current status, in mode async.")
    error: Failure | None = Field(description="The reason of a failure or cancellation, in mode async.")
    current_credits: Number | None = Field(
        description="Your balance after the deduction. In a replayed answer, it is your balance now."
    )
    replayed: Replayed = REPLAYED
    reused: Literal[True] | None = Field(description="True if this is an earlier request for the same image.")

    @classmethod
    def of(cls, created: Created) -> Self:
        request = created.request
        is_sync = request.mode is Mode.SYNC
        assert request.image_url is not None or not is_sync, "a completed request has its image"
        return cls(
            **dict(ImagedRequest.model_validate(request)),
            deducted_credits=0 if created.is_reused else request.cost,
            status=None if is_sync else request.status,
            error=request.failure and Failure.of(request.failure),
            current_credits=created.current_credits,
            replayed=created.is_replay or None,
            reused=created.is_reused or None,
        )


def _answered_earlier(backend: Backend, call: Call[Repeat]) -> CreatedGenerationRequest | None:
    """Return the stored answer to a repeated call that is no longer valid (for example, its style was withdrawn)."""
    fingerprint = fingerprints.fingerprint(call.data, backend.catalogs.current())
    keys = (*_earlier_keys(call), Key(call.params.idempotency_key, fingerprint))
    earlier = backend.generations.repeat(call.params.user_id, *keys)
    return None if earlier is None else CreatedGenerationRequest.of(earlier)


def _earlier_keys(call: Call[Any]) -> tuple[Key, ...]:
    """Return the keys that earlier versions read from this call, with the fingerprints that they gave to it."""
    return tuple(
        Key(key, Fingerprint(fingerprints.sent({**call.data, "idempotencyKey": key}))) for key in call.earlier_keys
    )


@operation(
    UserNotFound,
    TooManyRunning,
    PriceTooHigh,
    InsufficientCredits,
    IdempotencyMismatch,
    RequestInProgress,
    Contention,
    GenerationFailed,
    GenerationFailedBefore,
    GenerationTimeout,
    ContentRefused,
    ContentRefusedBefore,
    ModelUnavailable,
    ModelUnavailableBefore,
    ImageNotStored,
    ImageNotStoredBefore,
    GenerationTimeoutBefore,
    GenerationAbandoned,
    GenerationAbandonedBefore,
    GenerationCanceled,
    GenerationCanceledBefore,
    SettlementPending,
    access=Access.OWNER,
    spends=True,
    repeated=_answered_earlier,
    scope=Scope.GENERATE,
)
def create_generation_request(backend: Backend, call: Call[CreateGenerationRequest]) -> CreatedGenerationRequest:
    """Takes the credits, runs the model and returns the URL of the image. Refunds the credits if the model fails.

    In mode async, returns the status as soon as the credits are taken. A task queue runs the model later.
    """
    fingerprint = fingerprints.fingerprint(call.data, backend.catalogs.current())
    created = backend.generations.create(call.params.order(fingerprint, _earlier_keys(call), call.params.mode))
    return CreatedGenerationRequest.of(created)
