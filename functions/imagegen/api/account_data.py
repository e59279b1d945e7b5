"""The export and the deletion of an account: requests, responses and operations.

Each docstring of an operation is published as the description of its function.
"""

from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import Field, ValidationInfo, field_validator

from imagegen.api.auth import Access, Caller
from imagegen.api.context import Context
from imagegen.api.fields import DocumentId, refuse
from imagegen.api.operation import Call, operation
from imagegen.api.requests import OfUser, Request, example
from imagegen.api.responses import Number, Response, Time
from imagegen.api.validation import parse
from imagegen.bootstrap import Backend
from imagegen.errors import Contention, ExportNotFound, UserNotFound

if TYPE_CHECKING:  # imported on first use, because only a few functions need it
    from imagegen.domain import account_data


class ExportAccount(OfUser):
    model_config = example(userId="user-100")


class GetAccountExport(OfUser):
    model_config = example(userId="user-100")


class DeleteAccount(OfUser):
    model_config = example(userId="user-fumiko", confirmUserId="user-fumiko")

    confirm_user_id: DocumentId = Field(
        description="The id of the user again, also if userId is left out. It protects you from accidents."
    )

    @field_validator("confirm_user_id")
    @classmethod
    def _is_the_user_id(cls, value: str, info: ValidationInfo) -> str:
        if value != info.data.get("user_id", value):
            raise refuse("must be the id of the user whose account is deleted")
        return value


class WriteAccountExport(Request):
    """The task that writes the files of an export."""

    user_id: DocumentId
    export_id: DocumentId


class ExportedFile(Response):
    """A file of an export: JSON lines, one for each document, as ``{collection, id, data}``."""

    url: str = Field(description="The URL of the file. Whoever has it can download the file.")
    bytes: Number
    lines: Number


class AccountExport(Response):
    """An export. Its files are complete when its status is ready."""

    user_id: str
    status: Literal["running", "ready", "failed"]
    requested_at: Time
    finished_at: Time | None
    files: list[ExportedFile] = Field(description="The files, in order: one of 8 MB at most, or several.")
    files_deleted_at: Time | None = Field(description="The time at which the files are deleted.")

    @classmethod
    def of(cls, backend: Backend, export: "account_data.Export") -> Self:
        is_ready = export.status.value == "ready"
        url = backend.account_data.exports.url
        return cls(
            user_id=export.user_id,
            status=export.status.value,
            requested_at=export.requested_at,
            finished_at=export.finished_at,
            files=[
                ExportedFile(url=url(export, file), bytes=file.bytes, lines=file.lines)
                for file in (export.files if is_ready else ())
            ],
            files_deleted_at=export.due_at if is_ready else None,
        )


class AccountDeletion(Response):
    """A deletion. The account can never be used again, whatever the status is."""

    user_id: str
    status: Literal["running", "finished"]
    requested_at: Time
    finished_at: Time | None

    @classmethod
    def of(cls, deletion: "account_data.Deletion") -> Self:
        return cls(
            user_id=deletion.user_id,
            status=deletion.status.value,
            requested_at=deletion.requested_at,
            finished_at=deletion.finished_at,
        )


@operation(UserNotFound, Contention, access=Access.OWNER_OR_ADMIN)
def export_account(backend: Backend, call: Call[ExportAccount]) -> AccountExport:
    """Starts an export of everything about a user, and returns it. A task queue writes the files.

    Returns the same export while it runs, and for 15 minutes after it has ended. A user can have three exports a day.
    """
    return AccountExport.of(backend, backend.account_data.exports.start(call.params.user_id))


@operation(UserNotFound, ExportNotFound, access=Access.OWNER_OR_ADMIN)
def get_account_export(backend: Backend, call: Call[GetAccountExport]) -> AccountExport:
    """Returns the newest export of a user, with the URLs of its files when it is ready."""
    return AccountExport.of(backend, backend.account_data.exports.get(call.params.user_id))


@operation(UserNotFound, Contention, access=Access.OWNER_OR_ADMIN)
def delete_account(backend: Backend, call: Call[DeleteAccount]) -> AccountDeletion:
    """Deletes an account and everything that its user wrote, chose or got. What is left of the balance is forfeited.

    This cannot be undone. It takes 15 minutes or more. Repeat the call to learn whether the deletion has finished.
    """
    user_id, caller = call.params.user_id, call.caller
    # An admin who deletes another account is not its person.
    person = caller.person(user_id) if caller.uid in (None, user_id) else None
    claim_id = backend.accounts.claim_id(person)
    return AccountDeletion.of(backend.account_data.deletions.delete(user_id, caller.uid, claim_id))


def write_account_export(backend: Backend, data: Any) -> None:
    """Write the files of the export that a task names. Raises InvalidInput and the errors of ``Exports.run``.

    The task carries no ticket. A forged task can only go on with an export that somebody has asked for.
    """
    task = parse(WriteAccountExport, data, Context(Caller(), backend.catalogs.current))
    backend.account_data.exports.run(task.user_id, task.export_id)
