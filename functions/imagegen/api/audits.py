"""The latest audit, for operators."""

from datetime import datetime
from typing import TYPE_CHECKING, Self

from pydantic import Field

from imagegen.api.auth import Access
from imagegen.api.operation import Call, operation
from imagegen.api.requests import Nothing
from imagegen.api.responses import Described, Number, Response, Time
from imagegen.bootstrap import Backend
from imagegen.domain.api_keys import Scope

if TYPE_CHECKING:  # imported on first use
    from imagegen.domain import audit


class AuditCoverage(Described):
    """The numbers of documents that were checked one by one."""

    users: Number
    entries: Number
    requests: Number


class AuditFinding(Response):
    """A violation of an invariant, and the documents that show it."""

    rule: str
    rule_description: str
    user_id: str | None
    message: str
    documents: list[str] = Field(description="The paths of up to five documents.")

    @classmethod
    def of(cls, finding: "audit.Finding") -> Self:
        return cls(
            rule=finding.invariant.name,
            rule_description=finding.invariant.value,
            user_id=finding.user_id,
            message=finding.message,
            documents=list(finding.documents),
        )


class AuditBalances(Described):
    """The sum of all balances, and of all ledger entries, at one moment."""

    balances: int
    ledgers: int


class Audit(Response):
    """The latest audit. A daily one has checked the users with entries in a period, and the next thirtieth of all."""

    kind: str = Field(json_schema_extra={"enum": ["daily", "full"]})
    started_at: Time
    ended_at: Time | None = Field(description="Missing while the audit goes on, or until the next run continues it.")
    updated_at: Time
    seconds_since: Number = Field(description="The seconds since endedAt, or else since startedAt.")
    is_over: bool
    covered: AuditCoverage
    entries_since: Time | None
    entries_until: Time | None
    balances: AuditBalances | None
    findings: list[AuditFinding] = Field(description="The first 100.")
    finding_count: Number
    left_out: list[str] = Field(description="The first 100 users that could not be checked, such as too large ones.")
    left_out_count: Number

    @classmethod
    def of(cls, run: "audit.AuditRun", now: datetime) -> Self:
        return cls(
            kind=run.kind,
            started_at=run.started_at,
            ended_at=run.ended_at,
            updated_at=run.updated_at,
            seconds_since=max(0, int((now - (run.ended_at or run.started_at)).total_seconds())),
            is_over=run.ended_at is not None,
            covered=AuditCoverage.of(run),
            entries_since=run.entries_since,
            entries_until=run.entries_until,
            balances=run.balances and AuditBalances.of(run.balances),
            findings=[AuditFinding.of(finding) for finding in run.findings],
            finding_count=run.finding_count,
            left_out=list(run.left_out),
            left_out_count=run.left_out_count,
        )


class LatestAudit(Response):
    audit: Audit | None = Field(description="Missing before the first audit.")


@operation(access=Access.ADMIN, scope=Scope.READ)
def get_audit(backend: Backend, call: Call[Nothing]) -> LatestAudit:
    """Returns the latest audit: when it was, what it covered, and what it found."""
    run = backend.daily_audit.latest()
    return LatestAudit(audit=run and Audit.of(run, backend.clock.now()))
