"""People's rights to their data: the export and the deletion of an account."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from enum import StrEnum

from imagegen.dataclass import dataclass
from imagegen.domain.limits import Rate

FILES_KEPT = timedelta(days=7)
"""The time after which the files of an export are deleted."""

EXPORTS = Rate(burst=3, interval=timedelta(hours=8))
"""The rate of a user's exports: three at once, and three a day."""

TASK_LOST_AFTER = timedelta(minutes=10)
"""The time without progress after which the sweeper puts another task of an export on the queue."""

EXPORT_TIME_MAX = timedelta(days=1)
"""The time after which an unfinished export fails."""

CALLS_END_AFTER = timedelta(minutes=15)
"""Longer than any call or task takes. One that began before its account was marked as deleted may still write."""

DELETION_TIME_MAX = timedelta(days=1)
"""The time after which the audit reports an unfinished deletion."""


class ExportStatus(StrEnum):
    RUNNING = "running"
    READY = "ready"
    FAILED = "failed"


@dataclass(frozen=True)
class Place:
    """A place in the data of a user: the number of a collection, and the id of the last document that was exported."""

    collection: int = 0
    after: str | None = None


@dataclass(frozen=True)
class ExportFile:
    """A file of an export: its path in the bucket, and its numbers of bytes and of lines."""

    path: str
    bytes: int
    lines: int


@dataclass(frozen=True)
class Export:
    """The newest export of a user's data.

    ``token`` permits the download of its files. ``place`` is where the next file starts. At ``due_at``, the sweeper
    looks after the export: a running one may have lost its task, and the files of any other are deleted.
    ``earned_at`` is the time at which all exports of the user so far are earned.
    """

    user_id: str
    id: str
    token: str
    requested_at: datetime
    due_at: datetime
    earned_at: datetime
    status: ExportStatus = ExportStatus.RUNNING
    place: Place = Place()
    files: Sequence[ExportFile] = ()
    finished_at: datetime | None = None

    def with_file(self, file: ExportFile, place: Place | None, at: datetime) -> "Export":
        """Return the export after another file. ``place`` is where the next file starts, or None after the last."""
        written = replace(self, files=(*self.files, file))
        if place is None:
            return written._ended(ExportStatus.READY, at)
        return replace(written, place=place, due_at=at + TASK_LOST_AFTER)

    def failed(self, at: datetime) -> "Export":
        return replace(self, files=())._ended(ExportStatus.FAILED, at)

    def _ended(self, status: ExportStatus, at: datetime) -> "Export":
        return replace(self, status=status, finished_at=at, due_at=at + FILES_KEPT)

    @property
    def delete_at(self) -> datetime | None:
        """The time at which the files are deleted, or None while they are written."""
        return None if self.status is ExportStatus.RUNNING else self.due_at


REFUNDS_TRIED_FOR = timedelta(days=3)
"""The time after which a refund that the payment provider does not make is given up, so that the deletion ends."""


@dataclass(frozen=True)
class Refunding:
    """The state of the refunds of a deletion.

    ``unspent`` are the credits that are not attributed to a purchase yet. ``after`` is the last purchase that was
    looked at: the time of its creation and its id. While it is refunded, ``credits`` are its unspent ones, and
    ``target`` is the amount of all its refunds together. A repetition refunds only what is missing to the target.
    """

    unspent: int
    after: tuple[datetime, str] | None = None
    credits: int = 0
    target: int | None = None

    def planned(self, after: tuple[datetime, str], credits: int, target: int) -> "Refunding":
        return Refunding(self.unspent, after, credits, target)

    def passed(self, after: tuple[datetime, str], credits: int) -> "Refunding":
        """Return the state after a purchase to which ``credits`` are attributed."""
        return Refunding(self.unspent - credits, after)


class DeletionStatus(StrEnum):
    RUNNING = "running"
    FINISHED = "finished"


@dataclass(frozen=True)
class Deletion:
    """The deletion of an account.

    ``erased_up_to`` is the id of the last request that was erased. ``ended_erased_up_to`` is the same while a request
    cannot be settled, and only those that have ended are erased. At ``due_at``, the sweeper goes on. It is None after
    the deletion has finished. ``refunding`` is None before unspent purchases are refunded.
    """

    user_id: str
    requested_at: datetime
    requested_by: str | None
    due_at: datetime | None
    erased_up_to: str | None = None
    ended_erased_up_to: str | None = None
    finished_at: datetime | None = None
    refunding: Refunding | None = None

    @property
    def status(self) -> DeletionStatus:
        return DeletionStatus.RUNNING if self.finished_at is None else DeletionStatus.FINISHED

    @property
    def may_finish_at(self) -> datetime:
        """The time at which all calls that began before the deletion have ended."""
        return self.requested_at + CALLS_END_AFTER
