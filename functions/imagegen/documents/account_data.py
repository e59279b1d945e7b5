"""Conversion of the exports and deletions of accounts to and from Firestore documents, which clients cannot read."""

from datetime import datetime
from typing import Any

from imagegen.documents.accounts import SCHEMA_VERSION
from imagegen.documents.fields import Fields
from imagegen.domain.account_data import Deletion, Export, ExportFile, ExportStatus, Place, Refunding
from imagegen.ports.database import Create, Query, Replace, Snapshot, Where

EXPORTS = "accountExports"
DELETIONS = "accountDeletions"


def export_path(user_id: str) -> str:
    return f"{EXPORTS}/{user_id}"


def deletion_path(user_id: str) -> str:
    return f"{DELETIONS}/{user_id}"


def due(collection: str, at: datetime, limit: int) -> Query:
    """Return the query for the exports or deletions that the sweeper looks after, the longest overdue first."""
    return Query(collection, (Where("dueAt", "<", at),), "dueAt", ascending=True, limit=limit)


def write_export(document: Snapshot, export: Export) -> Create | Replace:
    """Return the write of an export, on the condition that the document is unchanged."""
    data = {
        "schemaVersion": SCHEMA_VERSION,
        "userId": export.user_id,
        "exportId": export.id,
        "token": export.token,
        "status": export.status.value,
        "requestedAt": export.requested_at,
        "finishedAt": export.finished_at,
        "dueAt": export.due_at,
        "earnedAt": export.earned_at,
        "place": {"collection": export.place.collection, "after": export.place.after},
        "files": [{"path": file.path, "bytes": file.bytes, "lines": file.lines} for file in export.files],
    }
    return _write(document, data)


def export_of(document: Snapshot) -> Export:
    """Return the export. Raises Unreadable."""
    fields = Fields.of(document)
    place = fields.map("place")
    return Export(
        user_id=fields.id("userId"),
        id=fields.read("exportId", str),
        token=fields.read("token", str),
        status=fields.read("status", ExportStatus),
        requested_at=fields.read("requestedAt", datetime),
        finished_at=fields.nullable("finishedAt", datetime),
        due_at=fields.read("dueAt", datetime),
        earned_at=fields.read("earnedAt", datetime),
        place=Place(place.amount("collection"), place.optional("after", str)),
        files=[
            ExportFile(file.read("path", str), file.amount("bytes"), file.amount("lines"))
            for file in fields.maps("files")
        ],
    )


def write_deletion(document: Snapshot, deletion: Deletion) -> Create | Replace:
    """Return the write of a deletion, on the condition that the document is unchanged."""
    data = {
        "schemaVersion": SCHEMA_VERSION,
        "userId": deletion.user_id,
        "requestedAt": deletion.requested_at,
        "requestedBy": deletion.requested_by,
        "dueAt": deletion.due_at,
        "erasedUpTo": deletion.erased_up_to,
        "endedErasedUpTo": deletion.ended_erased_up_to,
        "finishedAt": deletion.finished_at,
        **({} if deletion.refunding is None else {"refunding": _refunding_data(deletion.refunding)}),
    }
    return _write(document, data)


def deletion_of(document: Snapshot) -> Deletion:
    """Return the deletion. Raises Unreadable."""
    fields = Fields.of(document)
    return Deletion(
        user_id=fields.id("userId"),
        requested_at=fields.read("requestedAt", datetime),
        requested_by=fields.nullable("requestedBy", str),
        due_at=fields.nullable("dueAt", datetime),
        erased_up_to=fields.optional("erasedUpTo", str),
        ended_erased_up_to=fields.optional("endedErasedUpTo", str),
        finished_at=fields.nullable("finishedAt", datetime),
        refunding=_refunding_of(fields.map("refunding")) if "refunding" in document.data else None,
    )


def is_refunding(document: Snapshot) -> bool:
    """Return whether a deletion has begun to refund unspent purchases. It no longer counts new credits then."""
    return document.data.get("refunding") is not None


def _refunding_data(refunding: Refunding) -> dict[str, Any]:
    created_at, purchase_id = refunding.after or (None, None)
    return {
        "unspent": refunding.unspent,
        "createdAt": created_at,
        "purchaseId": purchase_id,
        "credits": refunding.credits,
        "target": refunding.target,
    }


def _refunding_of(fields: Fields) -> Refunding:
    created_at = fields.nullable("createdAt", datetime)
    return Refunding(
        unspent=fields.amount("unspent"),
        after=None if created_at is None else (created_at, fields.id("purchaseId")),
        credits=fields.amount("credits"),
        target=None if fields.nullable("target", int) is None else fields.amount("target"),
    )


def _write(document: Snapshot, data: dict[str, Any]) -> Create | Replace:
    if document.version is None:
        return Create(document.path, data)
    return Replace(document.path, data, document.version)
