"""Conversion of generation requests to and from Firestore documents."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Self

from imagegen.documents.accounts import SCHEMA_VERSION, bucket_fields, credits_of
from imagegen.domain.generation import Failure, FailureReason, GenerationRequest, Mode, Status
from imagegen.ports.database import Create, Snapshot, Version

REQUESTS = "generationRequests"


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
        "fingerprint": request.fingerprint,
        "execution": request.reservation_id,
        "mode": request.mode.value,
        "webhookUrl": request.webhook_url,
        "createdAt": request.created_at,
        "giveUpAt": request.give_up_at,
        **progress_fields(request),
        "week": str(request.week),
        "day": request.day,
        **settlement_fields(request),
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


def settlement_fields(request: GenerationRequest) -> dict[str, Any]:
    """Return the fields that change when a request is settled."""
    failure, processing_time = request.failure, request.processing_time
    return {
        "status": request.status.value,
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
    }


def request_of(document: Snapshot) -> GenerationRequest:
    data = document.data
    error = data["error"]
    return GenerationRequest(
        id=document.id,
        user_id=data["userId"],
        model=data["model"],
        style=data["style"],
        color=data["color"],
        size=data["size"],
        prompt=data["prompt"],
        input=data.get("input"),
        cost=data["cost"],
        paid_from=credits_of(data["paidFrom"]),
        fingerprint=data["fingerprint"],
        reservation_id=data["execution"],
        created_at=data["createdAt"],
        started_at=data["startedAt"],
        lease_expires_at=data["leaseExpiresAt"],
        mode=Mode(data.get("mode", Mode.SYNC)),
        give_up_at=data.get("giveUpAt"),
        claimed_by=data.get("worker"),
        webhook_url=data.get("webhookUrl"),
        status=Status(data["status"]),
        finished_at=data["finishedAt"],
        image_url=data["imageUrl"],
        failure=error
        and Failure(
            reason=FailureReason(error["reason"]),
            message=error["message"],
            refunded_credits=error["refundedCredits"],
            current_credits=error["currentCredits"],
        ),
    )


@dataclass(frozen=True)
class StoredRequest:
    """A request as read, with the version of its document."""

    request: GenerationRequest
    version: Version

    @classmethod
    def of(cls, document: Snapshot) -> Self:
        assert document.version is not None, "requests are never deleted"
        return cls(request_of(document), document.version)
