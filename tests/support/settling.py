"""Settles a request as another process would."""

from imagegen.documents.accounts import account_of, create_entry, update_account, user_path
from imagegen.documents.generations import request_of, request_path, settlement_fields
from imagegen.domain.generation import Failure, FailureReason
from imagegen.ports.database import Database, Update


def refund(database: Database, request_id: str) -> None:
    """Fail and refund the request, as another process would."""
    document, user = database.read(request_path(request_id), user_path("user"))
    assert document.version is not None
    request = request_of(document)
    account, entries = account_of(user).refund(request, FailureReason.GENERATION_FAILED, request.created_at)
    failure = Failure(FailureReason.GENERATION_FAILED, "Abandoned.", request.cost, account.wallet.credits.total)
    settled = settlement_fields(request.failed(failure, request.created_at))
    database.commit(
        Update(document.path, settled, document.version),
        update_account(user, account, request.week),
        *map(create_entry, entries),
    )
