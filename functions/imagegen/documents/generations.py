"""Conversion of generation requests to and from Firestore documents."""

from datetime import UTC, datetime, timedelta
from typing import Any, Self

from imagegen.dataclass import dataclass
from imagegen.documents.accounts import SCHEMA_VERSION, bucket_fields, credits_of
from imagegen.documents.endpoints import endpoint_fields, endpoints_of
from imagegen.documents.fields import Fields
from imagegen.domain.generation import (
    OPEN,
    REFUNDED,
    Failure,
    FailureReason,
    Fingerprint,
    GenerationRequest,
    Mode,
    Status,
)
from imagegen.domain.images import IMAGE, ImageFile, StoredImage
from imagegen.domain.trace import trace_of
from imagegen.ports.database import Create, Replace, Snapshot, Version

REQUESTS = "generationRequests"

TALLIED = ("cost", "tally.completed", "tally.failed", "tally.refunded")
"""The fields that the weekly report sums. All requests have them, except those stored by earlier versions."""


ERASED_AT = "erasedAt"
"""The field of a request whose user's account was deleted."""

KEPT_OF_ERASED = (
    "schemaVersion",
    "userId",
    "model",
    "style",
    "color",
    "size",
    "cost",
    "paidFrom",
    "mode",
    "status",
    "createdAt",
    "startedAt",
    "finishedAt",
    "leaseExpiresAt",
    "giveUpAt",
    "processingMs",
    "tally",
    "week",
    "day",
    "hour",
    "deleteImagesAt",
    ERASED_AT,
)
"""The fields that a request keeps when the account is deleted. All others are removed, also unknown ones."""

KEPT_OF_ERROR = ("reason", "refundedCredits", "currentCredits")


def request_path(request_id: str) -> str:
    return f"{REQUESTS}/{request_id}"


def create_request(request: GenerationRequest) -> Create:
    data = {
        "schemaVersion": SCHEMA_VERSION,
        "userId": request.user_id,
        "model": request.model,
        "style": request.style,
        "color": request.color,
        "size": request.size,
        "prompt": request.prompt,
        "input": request.input,
        "cost": request.cost,
        "paidFrom": bucket_fields(request.paid_from),
        "fingerprint": request.fingerprint.sent,
        "canonicalFingerprint": request.fingerprint.canonical,
        "imageKey": request.image_key,
        "execution": request.reservation_id,
        "mode": request.mode.value,
        "webhookUrl": request.webhook_url,
        **({} if request.seed is None else {"seed": request.seed}),
        "createdAt": request.created_at,
        "giveUpAt": request.give_up_at,
        **progress_fields(request),
        "week": str(request.week),
        "day": request.day,
        "hour": request.created_at.astimezone(UTC).hour,
        **settlement_fields(request),
        **(endpoint_fields(request.webhook_endpoints) if request.webhook_endpoints else {}),
        **({} if request.trace is None else {"traceparent": request.trace.traceparent}),
    }
    return Create(request_path(request.id), data)


def progress_fields(request: GenerationRequest) -> dict[str, Any]:
    """Return the fields that change while a request is unfinished."""
    return {
        "status": request.status.value,
        "worker": request.claimed_by,
        "startedAt": request.started_at,
        "leaseExpiresAt": request.lease_expires_at,
    }


def task_fields(request: GenerationRequest) -> dict[str, Any]:
    """Return the fields that change when a pending request gets a new task. New requests lack ``taskNumber``."""
    return {"taskNumber": request.task_number, "leaseExpiresAt": request.lease_expires_at}


def settlement_fields(request: GenerationRequest) -> dict[str, Any]:
    """Return the fields that change when a request is settled."""
    failure, processing_time = request.failure, request.processing_time
    stored = {
        "image": request.image and image_fields(request.image),
        "seed": request.seed,
        "deleteImagesAt": request.delete_images_at,
    }
    return {
        "status": request.status.value,
        "tally": {
            "completed": int(request.status is Status.COMPLETED),
            "failed": int(request.status is Status.FAILED),
            "refunded": request.cost if request.status in REFUNDED else 0,
        },
        "finishedAt": request.finished_at,
        "processingMs": None if processing_time is None else processing_time // timedelta(milliseconds=1),
        "imageUrl": request.image_url,
        "error": failure
        and {
            "reason": failure.reason.value,
            "message": failure.message,
            "refundedCredits": failure.refunded_credits,
            "currentCredits": failure.current_credits,
        },
        **{name: value for name, value in stored.items() if value is not None},
    }


def image_fields(image: StoredImage) -> dict[str, Any]:
    return {
        "bucketUrl": image.bucket_url,
        "folder": image.folder,
        "token": image.token,
        "files": [
            {"name": file.name, "width": file.width, "height": file.height, "bytes": file.bytes} for file in image.files
        ],
        "revisedPrompt": image.revised_prompt,
    }


def image_of(image: Fields) -> StoredImage:
    """Return the image. Raises Unreadable, also if the file of the ordered size is missing."""
    files = [
        ImageFile(file.read("name", str), file.amount("width"), file.amount("height"), file.amount("bytes"))
        for file in image.maps("files")
    ]
    if all(file.name != IMAGE for file in files):
        image.refuse("files")
    return StoredImage(
        bucket_url=image.read("bucketUrl", str),
        folder=image.read("folder", str),
        token=image.read("token", str),
        files=files,
        revised_prompt=image.optional("revisedPrompt", str),
    )


def is_open(document: Snapshot) -> bool:
    """Return whether a stored request has not ended, even if the rest of it cannot be read."""
    return document.data.get("status") in OPEN


def is_erased(document: Snapshot) -> bool:
    return document.data.get(ERASED_AT) is not None


def erase_request(document: Snapshot, at: datetime) -> Replace:
    """Return the write that removes everything that the user wrote, chose or got, and keeps the facts of the charge.

    Fields that every request has are empty, so that the request can still be read.
    """
    assert document.version is not None, "requests are never deleted"
    kept = {name: value for name, value in document.data.items() if name in KEPT_OF_ERASED}
    error = document.data.get("error")
    if isinstance(error, dict):
        error = {**{name: value for name, value in error.items() if name in KEPT_OF_ERROR}, "message": ""}
    empty = {"prompt": "", "fingerprint": "", "execution": "", "imageUrl": None, "error": error}
    return Replace(document.path, {**kept, **empty, ERASED_AT: at}, document.version)


def request_of(document: Snapshot) -> GenerationRequest:
    """Return the request. Raises Unreadable."""
    fields = Fields.of(document)
    return GenerationRequest(
        id=document.id,
        user_id=fields.id("userId"),
        model=fields.read("model", str),
        style=fields.read("style", str),
        color=fields.read("color", str),
        size=fields.read("size", str),
        prompt=fields.read("prompt", str),
        input=_input_of(fields),
        cost=fields.amount("cost"),
        paid_from=credits_of(fields.map("paidFrom")),
        fingerprint=Fingerprint(fields.read("fingerprint", str), fields.optional("canonicalFingerprint", str)),
        reservation_id=fields.read("execution", str),
        created_at=fields.read("createdAt", datetime),
        started_at=fields.nullable("startedAt", datetime),
        lease_expires_at=fields.read("leaseExpiresAt", datetime),
        mode=fields.optional("mode", Mode) or Mode.SYNC,
        give_up_at=fields.optional("giveUpAt", datetime),
        claimed_by=fields.optional("worker", str),
        task_number=fields.amount("taskNumber", default=0),
        webhook_url=fields.optional("webhookUrl", str),
        webhook_endpoints=endpoints_of(fields),
        status=fields.read("status", Status),
        finished_at=fields.nullable("finishedAt", datetime),
        image_url=fields.nullable("imageUrl", str),
        image=None if fields.optional("image", dict) is None else image_of(fields.map("image")),
        seed=fields.optional("seed", int),
        image_key=fields.optional("imageKey", str),
        delete_images_at=fields.optional("deleteImagesAt", datetime),
        trace=trace_of(fields.optional("traceparent", str)),
        failure=None if fields.nullable("error", dict) is None else _failure_of(fields.map("error")),
    )


def _input_of(fields: Fields) -> dict[str, str] | None:
    if fields.optional("input", dict) is None:
        return None
    input = fields.map("input")
    return {name: input.read(name, str) for name in input.data}


def _failure_of(error: Fields) -> Failure:
    return Failure(
        reason=error.read("reason", FailureReason),
        message=error.read("message", str),
        refunded_credits=error.amount("refundedCredits"),
        current_credits=error.amount("currentCredits"),
    )


@dataclass(frozen=True)
class StoredRequest:
    """A request as read, with the version of its document."""

    request: GenerationRequest
    version: Version

    @classmethod
    def of(cls, document: Snapshot) -> Self:
        """Return the stored request. Raises Unreadable."""
        assert document.version is not None, "requests are never deleted"
        return cls(request_of(document), document.version)
