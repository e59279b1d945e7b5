"""Conversion of the latest audit to and from its Firestore document."""

from datetime import datetime
from typing import Any

from imagegen.documents.accounts import SCHEMA_VERSION
from imagegen.documents.fields import Fields
from imagegen.domain.audit import AuditKind, AuditRun, Balances, Finding, Invariant
from imagegen.ports.database import Create, Put, Snapshot, Update, Write

AUDITS = "audits"
LATEST = f"{AUDITS}/latest"


def write_audit(document: Snapshot, run: AuditRun) -> Write:
    """Return the write of a run, on the condition that ``document``, the latest audit as read, is unchanged."""
    if document.version is None:
        return Create(LATEST, _data(run))
    return Update(LATEST, _data(run), document.version)


def replace_audit(run: AuditRun) -> Put:
    """Return the write of a run that replaces the latest audit."""
    return Put(LATEST, _data(run))


def audit_of(document: Snapshot) -> AuditRun:
    """Return the run. Raises Unreadable."""
    fields = Fields.of(document)
    rotation = fields.map("rotation")
    return AuditRun(
        kind=fields.read("kind", AuditKind),
        started_at=fields.read("startedAt", datetime),
        updated_at=fields.read("updatedAt", datetime),
        ended_at=fields.optional("endedAt", datetime),
        scheduled_for=fields.optional("scheduledFor", datetime),
        users=fields.amount("users"),
        entries=fields.amount("entries"),
        requests=fields.amount("requests"),
        findings=tuple(_finding_of(finding) for finding in fields.maps("findings")),
        finding_count=fields.amount("findingCount"),
        left_out=fields.ids("leftOut"),
        left_out_count=fields.amount("leftOutCount"),
        entries_since=fields.optional("entriesSince", datetime),
        entries_until=fields.optional("entriesUntil", datetime),
        entries_checked=fields.read("entriesChecked", datetime),
        recheck=fields.ids("recheck"),
        entries_number=fields.amount("entriesNumber"),
        rotation_after=None if rotation.optional("after", str) is None else rotation.id("after"),
        rotation_left=rotation.amount("left"),
        total_tries=fields.amount("totalTries"),
        balances=None if fields.optional("total", dict) is None else _balances_of(fields.map("total")),
    )


def _data(run: AuditRun) -> dict[str, Any]:
    return {
        "schemaVersion": SCHEMA_VERSION,
        "kind": run.kind.value,
        "startedAt": run.started_at,
        "updatedAt": run.updated_at,
        "endedAt": run.ended_at,
        "scheduledFor": run.scheduled_for,
        "users": run.users,
        "entries": run.entries,
        "requests": run.requests,
        "findings": [
            {
                "rule": finding.invariant.name,
                "userId": finding.user_id,
                "message": finding.message,
                "documents": list(finding.documents),
            }
            for finding in run.findings
        ],
        "findingCount": run.finding_count,
        "leftOut": list(run.left_out),
        "leftOutCount": run.left_out_count,
        "entriesSince": run.entries_since,
        "entriesUntil": run.entries_until,
        "entriesChecked": run.entries_checked,
        "recheck": list(run.recheck),
        "entriesNumber": run.entries_number,
        "rotation": {"after": run.rotation_after, "left": run.rotation_left},
        "totalTries": run.total_tries,
        "total": run.balances and {"balances": run.balances.balances, "ledgers": run.balances.ledgers},
    }


def _finding_of(fields: Fields) -> Finding:
    rule = fields.read("rule", str)
    if rule not in Invariant.__members__:
        fields.refuse("rule")
    documents = fields.read("documents", list)
    if not all(isinstance(document, str) for document in documents):
        fields.refuse("documents")
    user_id = None if fields.optional("userId", str) is None else fields.id("userId")
    return Finding(Invariant[rule], fields.read("message", str), tuple(documents), user_id)


def _balances_of(fields: Fields) -> Balances:
    return Balances(fields.read("balances", int), fields.read("ledgers", int))
