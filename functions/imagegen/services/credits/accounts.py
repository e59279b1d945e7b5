"""Registers accounts, grants credits and reads wallets."""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime

from imagegen import events
from imagegen.dataclass import dataclass
from imagegen.documents.accounts import (
    create_entry,
    create_grant,
    create_trial_claim,
    create_user,
    entry_path,
    grant_of,
    grant_path,
    is_deleted,
    ledger_path,
    trial_claim_path,
    update_wallet,
    user_path,
    wallet_of,
)
from imagegen.documents.api_keys import api_key_of, api_key_path, update_granted
from imagegen.domain.api_keys import TooManyGranted
from imagegen.domain.grants import Bucket, Grant
from imagegen.domain.ledger import Credits, EntryType, LedgerEntry, Wallet
from imagegen.domain.people import Person
from imagegen.errors import (
    AccountDeleted,
    AccountLost,
    GrantLimitReached,
    IdempotencyMismatch,
    Unauthenticated,
    UserNotFound,
)
from imagegen.events import Event, SafeText
from imagegen.ports.clock import Clock
from imagegen.ports.database import CommitRefused, Database, Query, Snapshot, Update, Write
from imagegen.services.retry import Retry
from imagegen.services.server_keys import ServerKeys
from imagegen.services.unreadable import read_or_log

WELCOME_GRANT = "welcome-grant"
"""The id of the grant of trial credits. The fixed id makes a second one in the same account impossible."""

TRIAL_CLAIM_KEYS = "trial-claims"
"""The name of the keys that hash persons. With another key, every person would get trial credits again."""


def new_account(user_id: str, profile: Mapping[str, str], welcome: Credits, at: datetime) -> tuple[Wallet, list[Write]]:
    """Return a new user's wallet and the writes that create it: the user's document and the welcome grant, if any."""
    wallet = Wallet(user_id)
    if not welcome.total:
        return wallet, [create_user(wallet, profile, at)]
    wallet, entry = _welcomed(wallet, welcome, at)
    return wallet, [create_user(wallet, profile, at), create_entry(entry)]


def _welcomed(wallet: Wallet, welcome: Credits, at: datetime) -> tuple[Wallet, LedgerEntry]:
    """Return the wallet after the welcome grant, and the grant."""
    return wallet.post(EntryType.GRANT, welcome, entry_id=WELCOME_GRANT, generation_request_id=None, timestamp=at)


def existing_user(user: Snapshot) -> Snapshot:
    """Return the user's document if it exists, also if the account was deleted. Raises UserNotFound."""
    if not user.exists:
        raise UserNotFound(f"There is no user {user.id!r}. Call registerUser first.", userId=user.id)
    return user


def refuse_deleted(user: Snapshot) -> None:
    """Raise AccountDeleted if the account is being deleted, or was deleted."""
    if is_deleted(user):
        raise AccountDeleted("The account was deleted. It cannot be used again.", userId=user.id)


def require_user(user: Snapshot) -> Snapshot:
    """Return the user's document if it exists. Raises UserNotFound and AccountDeleted."""
    existing_user(user)
    refuse_deleted(user)
    return user


def balance_of(user: Snapshot) -> int | None:
    """Return the user's balance, or None if it cannot be read, for an answer that does not depend on it."""
    wallet = read_or_log(wallet_of, user) if user.exists else None
    return None if wallet is None else wallet.credits.total


@dataclass(frozen=True)
class Granted:
    """The answer to a grant. ``is_replay`` is True if an earlier call with the same key made it."""

    grant: Grant
    is_replay: bool


@dataclass(frozen=True)
class Accounts:
    """User accounts. Each change is one commit, and a repeated call changes nothing.

    If the retries fail, the methods raise CommitRefused, OutcomeUnknown or DatabaseUnavailable.
    """

    database: Database
    clock: Clock
    retry: Retry
    claim_keys: ServerKeys

    def register(self, user_id: str, profile: Mapping[str, str], person: Person | None, trial: Credits) -> Wallet:
        """Return the user's wallet. If there is no account, create it with ``profile``.

        Grant the ``trial`` credits unless this account or another one of ``person`` has had them, which a claim of the
        person records. Without a ``person``, grant nothing: a later call with a person does.

        Raises AccountDeleted, and AccountLost if the user's document was deleted and the ledger was not: a new account
        would start a second ledger among the old entries.
        """

        def attempt(_tries: int) -> Wallet:
            claim_id = self.claim_id(person)
            claim_paths = [] if claim_id is None else [trial_claim_path(claim_id)]
            user, welcome, *claims = self.database.read(
                user_path(user_id), entry_path(user_id, WELCOME_GRANT), *claim_paths
            )
            refuse_deleted(user)
            now = self.clock.now()
            is_first_claim = any(not claim.exists for claim in claims)
            granted = trial if is_first_claim and not welcome.exists else Credits()
            if not user.exists:
                self._check_has_no_ledger(user_id)
                wallet, writes = new_account(user_id, profile, granted, now)
            elif granted.total:
                wallet, entry = _welcomed(wallet_of(user), granted, now)
                writes = [update_wallet(user, wallet), create_entry(entry)]
            else:
                wallet, writes = wallet_of(user), []
            if claim_id is not None and is_first_claim and (granted.total or welcome.exists):
                writes.append(create_trial_claim(claim_id, user_id, now))
            if writes:
                self.database.commit(*writes)
            return wallet

        return self.retry(attempt)

    def claim_id(self, person: Person | None) -> str | None:
        """Return the id of a person's claim of the trial credits, or None for nobody. Raises like ``ServerKeys``."""
        return None if person is None else self.claim_keys.digest(person)

    def _check_has_no_ledger(self, user_id: str) -> None:
        """Raise AccountLost if a user without a document has a ledger, or CommitRefused if it has a document now."""
        if not self.database.find(Query(ledger_path(user_id), limit=1)):
            return
        [user] = self.database.read(user_path(user_id))
        if user.exists:
            raise CommitRefused(f"{user.path} has been created since")
        events.error(Event.ACCOUNT_LOST, path=SafeText(user.path))
        raise AccountLost(
            "The account was deleted, but its credit history was not. Ask the operator to restore it.", userId=user_id
        )

    def grant(
        self,
        user_id: str,
        bucket: Bucket,
        credits: int,
        *,
        reason: str,
        key: str,
        granted_by: str,
        earlier_keys: Sequence[str] = (),
        api_key_id: str | None = None,
    ) -> Granted:
        """Add ``credits`` to a bucket, and return the grant. A repeated call returns the grant of the first call.

        A ``key`` is used once, for one grant to one user. ``earlier_keys`` are the keys under which earlier versions of
        the backend may have stored the same call. If an API key grants, the commit counts the credits in the key's
        document, so that simultaneous grants cannot exceed its limit.

        Raises UserNotFound, AccountDeleted, GrantLimitReached, IdempotencyMismatch if the key was used for another
        grant, and Unauthenticated if the API key was revoked in the meantime.
        """
        earlier_ids = [_grant_id(earlier_key) for earlier_key in earlier_keys]
        grant_id = _grant_id(key)

        mine: list[Grant] = []  # a commit of this call may be applied although its answer was lost

        def attempt(_tries: int) -> Granted:
            api_keys = [] if api_key_id is None else [api_key_path(api_key_id)]
            user, *documents = self.database.read(
                user_path(user_id), *api_keys, *map(grant_path, (*earlier_ids, grant_id))
            )
            grants = documents[len(api_keys) :]
            if made := next((document for document in grants if document.exists), None):
                grant = _same(grant_of(made), user_id, bucket, credits, reason)
                return Granted(grant, is_replay=grant not in mine)
            now = self.clock.now()
            counted = [_counted(document, credits, now) for document in documents[: len(api_keys)]]
            wallet, entry = wallet_of(require_user(user)).post(
                EntryType.GRANT,
                bucket.of(credits),
                entry_id=f"grant-{grant_id}",
                generation_request_id=None,
                timestamp=now,
            )
            grant = Grant(
                id=grant_id,
                user_id=user_id,
                bucket=bucket,
                credits=credits,
                reason=reason,
                granted_by=granted_by,
                api_key_id=api_key_id,
                entry_id=entry.id,
                balance_after=entry.balance_after,
                granted_at=entry.timestamp,
            )
            mine.append(grant)
            self.database.commit(create_grant(grant), update_wallet(user, wallet), create_entry(entry), *counted)
            return Granted(grant, is_replay=False)

        return self.retry(attempt)

    def check_not_deleted(self, *user_ids: str) -> None:
        """Raise AccountDeleted if one of the accounts is being deleted, or was deleted. Raises DatabaseUnavailable."""
        for user in self.database.read(*map(user_path, user_ids)):
            refuse_deleted(user)

    def wallet(self, user_id: str) -> Wallet:
        """Return the user's wallet. Raises UserNotFound, AccountDeleted and DatabaseUnavailable."""
        return wallet_of(require_user(*self.database.read(user_path(user_id))))


def _grant_id(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()[:32]


def _counted(document: Snapshot, credits: int, now: datetime) -> Update:
    """Return the write that counts a grant in the document of the API key that makes it. Raises GrantLimitReached."""
    key = api_key_of(document) if document.exists else None
    if key is None or key.revoked_at is not None:
        raise Unauthenticated("The API key was revoked.")
    try:
        return update_granted(document, key.after_grant(credits, now))
    except TooManyGranted as too_many:
        raise GrantLimitReached(
            f"This API key can grant {too_many.left} more credits today. Nothing was granted.",
            creditsLeft=too_many.left,
            retryAfterSeconds=too_many.retry_after_seconds,
        ) from None


def _same(grant: Grant, user_id: str, bucket: Bucket, credits: int, reason: str) -> Grant:
    """Return ``grant`` if it has the same values as the repeated call. Raises IdempotencyMismatch."""
    stored = (grant.user_id, grant.bucket, grant.credits, grant.reason or reason)  # an erased reason matches any
    if stored != (user_id, bucket, credits, reason):
        raise IdempotencyMismatch("This idempotency key was used for another grant. Use a new key for a new grant.")
    return grant
