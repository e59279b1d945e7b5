"""Exports everything about a user to files in Cloud Storage, which are deleted after a week.

A task writes the files one after the other. Each file is bounded, and the commit that lists it says where the next one
starts. So a crash costs one file at most, and memory and time do not depend on the size of the account.
"""

import secrets
from collections.abc import Callable
from dataclasses import replace
from urllib.parse import quote

from imagegen import events
from imagegen.dataclass import dataclass
from imagegen.documents.account_data import export_of, export_path, write_export
from imagegen.documents.accounts import is_deleted, user_path
from imagegen.domain.account_data import (
    CALLS_END_AFTER,
    EXPORT_TIME_MAX,
    EXPORTS,
    TASK_LOST_AFTER,
    Export,
    ExportFile,
    ExportStatus,
    Place,
)
from imagegen.domain.limits import TooFast
from imagegen.errors import ExportNotFound, RateLimited, ServiceUnavailable
from imagegen.events import Event, type_of
from imagegen.ports.auth_accounts import AuthUnavailable
from imagegen.ports.clock import Clock
from imagegen.ports.database import CommitRefused, Database, DatabaseUnavailable, Delete, OutcomeUnknown, Snapshot
from imagegen.ports.object_store import ObjectStore, ObjectStoreUnavailable
from imagegen.ports.task_queue import QueueUnavailable, TaskQueue, task_name
from imagegen.services.account_data.reading import UserDocuments
from imagegen.services.credits.accounts import require_user
from imagegen.services.retry import Retry

QUEUE = "writeAccountExport"
CONTENT_TYPE = "application/x-ndjson"

FILE_BYTES = 8 * 1024 * 1024
"""The size at which a file ends. A page of documents may exceed it."""

FILE_SECONDS = 60.0
"""The time after which a file ends."""

TASK_SECONDS = 150.0
"""The time after which a task begins no further file, and puts another task on the queue."""


def user_folder(user_id: str) -> str:
    """Return the folder of all exports of a user. No rule lets a client read it: its files have a token."""
    return f"exports/{user_id}"


def _folder(export: Export) -> str:
    return f"{user_folder(export.user_id)}/{export.id}"


@dataclass(frozen=True)
class Exports:
    """The exports of all users, one for each user. If the retries of a change fail, methods raise like ``Retry``."""

    database: Database
    documents: UserDocuments
    store: ObjectStore
    tasks: TaskQueue
    clock: Clock
    retry: Retry
    new_id: Callable[[], str]

    def start(self, user_id: str) -> Export:
        """Start an export and return it, or return the one that runs or has just ended.

        The files of an earlier export are deleted. Raises UserNotFound, AccountDeleted, RateLimited, and
        ServiceUnavailable if the files cannot be stored.
        """
        id, token = self.new_id(), secrets.token_urlsafe(24)

        def attempt(_tries: int) -> Export:
            user, document = self.database.read(user_path(user_id), export_path(user_id))
            require_user(user)
            known, now = (export_of(document) if document.exists else None), self.clock.now()
            # A task of the earlier export may still write until then, and its file would stay.
            if known and (known.finished_at is None or now < known.finished_at + CALLS_END_AFTER):
                return known
            earned_at = EXPORTS.admit(known.earned_at if known else None, now)
            if known:
                self._delete_files(known)
            export = Export(user_id, id, token, now, now + TASK_LOST_AFTER, earned_at)
            self.database.commit(write_export(document, export))
            return export

        try:
            self.store.bucket_url()
            export = self.retry(attempt)
        except ObjectStoreUnavailable as error:
            raise ServiceUnavailable("The files of an export cannot be stored now. Try again.") from error
        except TooFast as too_fast:
            seconds = too_fast.retry_after_seconds
            raise RateLimited(
                f"Too many exports in a day. Try again in {seconds} s.", retryAfterSeconds=seconds
            ) from None
        self._enqueue(export)
        return export

    def get(self, user_id: str) -> Export:
        """Return the newest export of a user. Raises UserNotFound, AccountDeleted and ExportNotFound."""
        user, document = self.database.read(user_path(user_id), export_path(user_id))
        require_user(user)
        if not document.exists:
            raise ExportNotFound("There is no export of this account. Call exportAccount first.", userId=user_id)
        return export_of(document)

    def url(self, export: Export, file: ExportFile) -> str:
        """Return the URL of a file, which permits its download. Raises ServiceUnavailable if there is no bucket."""
        try:
            return f"{self.store.bucket_url()}/{quote(file.path, safe='')}?alt=media&token={export.token}"
        except ObjectStoreUnavailable as error:
            raise ServiceUnavailable("The files of the export cannot be reached now. Try again.") from error

    def run(self, user_id: str, export_id: str) -> None:
        """Write the files of an export, and put another task on the queue if they take too long for one task.

        Does nothing if the export has ended, or another one has begun, or the account is deleted.

        Raises ServiceUnavailable, after which the queue tries again.
        """
        until = self.clock.monotonic() + TASK_SECONDS
        try:
            while (export := self._write_file(user_id, export_id)) is not None:
                if self.clock.monotonic() >= until:
                    self._enqueue(export)
                    return
        except (CommitRefused, OutcomeUnknown, DatabaseUnavailable, ObjectStoreUnavailable, AuthUnavailable) as error:
            raise ServiceUnavailable("A file of the export was not written.") from error

    def recover(self, document: Snapshot) -> bool:
        """Put another task of an export that makes no progress on the queue, or delete the files of one that has ended.

        Return True if this export is done for now.
        """
        export, now = export_of(document), self.clock.now()
        if export.status is not ExportStatus.RUNNING:
            self._delete_files(export)
            self.database.commit(Delete(document.path, document.version))
            return True
        if now >= export.requested_at + EXPORT_TIME_MAX:
            self._delete_files(export)
            self.database.commit(write_export(document, export.failed(now)))
            events.error(Event.EXPORT_FAILED, exportId=export.id)
            return True
        again = replace(export, due_at=now + TASK_LOST_AFTER)
        self.database.commit(write_export(document, again))
        self._enqueue(again)
        return True

    def _write_file(self, user_id: str, export_id: str) -> Export | None:
        """Write the next file. Return the export if there is another file to write."""
        user, document = self.database.read(user_path(user_id), export_path(user_id))
        if not document.exists or is_deleted(user):
            return None
        export = export_of(document)
        if export.id != export_id or export.status is not ExportStatus.RUNNING:
            return None
        content, lines, place = self._collected(user_id, export.place)
        # A name of its own, so that a duplicate task does not replace the file that is listed.
        path = f"{_folder(export)}/{len(export.files) + 1:04}-{self.new_id()}.jsonl"
        self.store.put(path, bytes(content), export.token, CONTENT_TYPE)
        written = export.with_file(ExportFile(path, len(content), lines), place, self.clock.now())
        self.database.commit(write_export(document, written))
        return written if written.status is ExportStatus.RUNNING else None

    def _collected(self, user_id: str, start: Place) -> tuple[bytearray, int, Place | None]:
        """Return the content of a file, its number of lines, and the place where the next file starts, if any."""
        content, count = bytearray(), 0
        place: Place | None = start
        until = self.clock.monotonic() + FILE_SECONDS
        while place is not None and len(content) < FILE_BYTES and self.clock.monotonic() < until:
            lines, place = self.documents.page(user_id, place)
            count += len(lines)
            content += b"".join(lines)
        return content, count, place

    def _delete_files(self, export: Export) -> None:
        """Delete the files of an export. Raises ObjectStoreUnavailable, also if there are too many for one call."""
        if not self.store.delete(_folder(export)):
            raise ObjectStoreUnavailable("The export has more files than a call deletes.")

    def _enqueue(self, export: Export) -> None:
        """Put the next task of an export on the queue. If this fails, log it: a sweep puts the task later."""
        if export.status is not ExportStatus.RUNNING:
            return
        name = task_name(export.user_id, export.id, len(export.files), export.due_at.isoformat())
        try:
            self.tasks.put(QUEUE, {"userId": export.user_id, "exportId": export.id}, name)
        except QueueUnavailable as error:
            events.warning(Event.EXPORT_NOT_QUEUED, exportId=export.id, error=type_of(error))
