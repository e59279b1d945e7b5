"""The deletions of accounts in a run, and the checks of what they leave."""

import random
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from imagegen.documents.account_data import DELETIONS, deletion_of, deletion_path
from imagegen.documents.accounts import USERS, is_deleted, user_path, wallet_of
from imagegen.documents.generations import REQUESTS, request_of
from imagegen.documents.receivers import RECEIVERS
from imagegen.documents.webhooks import DELIVERIES
from imagegen.domain.account_data import DeletionStatus
from imagegen.ports.auth_accounts import AuthUnavailable
from imagegen.ports.database import Snapshot
from simulation.calls import PERIOD_SECONDS, PROMPTS
from simulation.checks import Violation
from simulation.faults import Faults
from simulation.store import Store
from tools.fakes import AuthAccountList, FileStore


class SimulatedAuthAccounts:
    """Deletes accounts or fails. When it fails, the account may have been deleted."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self.stored = AuthAccountList()

    def get(self, user_id: str) -> Mapping[str, Any] | None:
        return self.stored.get(user_id)

    def delete(self, user_id: str) -> None:
        self._faults.step(1.0)
        if self._faults.occurs(self._faults.rates.lost_before):
            raise AuthUnavailable("not done")
        self.stored.delete(user_id)
        if self._faults.occurs(self._faults.rates.lost_after):
            raise AuthUnavailable("perhaps done")


def plan(rng: random.Random, users: Sequence[str]) -> list[tuple[str, float]]:
    """Return the users who delete their accounts, and when: nobody in most seeds, and sometimes one of them twice."""
    if rng.random() < 0.7:
        return []
    user, at_seconds = rng.choice(users), rng.uniform(0, 1.5 * PERIOD_SECONDS)
    return [(user, at_seconds + rng.choice((0.0, 0.05, 300.0)) * number) for number in range(rng.choice((1, 1, 2)))]


def deleted_users(store: Store) -> set[str]:
    return {user.id for user in store.scan(USERS) if is_deleted(user)}


def pending(store: Store) -> int:
    """Return the number of deletions that a sweep may go on with."""
    return sum(document.data["dueAt"] is not None for document in store.scan(DELETIONS))


def violations(store: Store, files: FileStore, auth_accounts: AuthAccountList) -> Iterator[Violation]:
    """Yield everything that is left of deleted accounts, after the deletions had the time to end."""
    for user_id in sorted(deleted_users(store)):
        user, document = store.read(user_path(user_id), deletion_path(user_id))
        if deletion_of(document).status is not DeletionStatus.FINISHED or user_id not in auth_accounts.deleted:
            yield Violation("DELETION", f"the deletion of {user_id} never ends")
        if wallet_of(user).credits.total:
            yield Violation("DELETION", f"{user_id} still has {wallet_of(user).credits}")
        left = [path for path in files.files if path.startswith(f"images/{user_id}/")]
        left += [found.path for name in (DELIVERIES, RECEIVERS) for found in _of(store, name, user_id)]
        left += [found.path for found in _of(store, REQUESTS, user_id) if _has_a_prompt_or_runs(found)]
        for path in left:
            yield Violation("DELETION", f"{path} is still stored")


def _of(store: Store, collection: str, user_id: str) -> list[Snapshot]:
    return [document for document in store.scan(collection) if document.data["userId"] == user_id]


def _has_a_prompt_or_runs(request: Snapshot) -> bool:
    return request_of(request).is_open or any(prompt in str(request.data) for prompt in PROMPTS)
