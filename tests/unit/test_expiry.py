"""Tests of the documents that Firestore deletes, by the TTL policies, when nobody needs them any more."""

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from imagegen.documents import api_keys, mail, webhooks
from imagegen.documents.fields import EXPIRE_AT
from imagegen.domain.api_keys import ApiKey
from imagegen.domain.generation import Fingerprint, GenerationRequest, Status
from imagegen.domain.ledger import Credits
from imagegen.domain.webhooks import KEPT, RETRY_WINDOW, Attempt, Delivery
from imagegen.ports.database import Create, Put, Snapshot, Update
from tests.support.times import NOON
from tools.emulators.project import ROOT

KEY = ApiKey("key", "user", "a key", frozenset(), NOON)
PENDING = Delivery("id", "user", "request", "https://hooks.example.com", "generation.completed", NOON, NOON, NOON)
PENDING = replace(PENDING, give_up_at=NOON + RETRY_WINDOW)
REQUEST = GenerationRequest(
    "request",
    "user",
    "Model A",
    "anime",
    "neon",
    "512x512",
    "a fox",
    1,
    Credits(paid=1),
    Fingerprint("sent"),
    "reservation",
    NOON,
    NOON,
    NOON,
    status=Status.COMPLETED,
    finished_at=NOON,
    image_url="https://images.example.com/fox.png",
)


def stored(path: str) -> Snapshot:
    return Snapshot(path, {}, "version")  # type: ignore[arg-type]


def attempted(delivery: Delivery, status: int, at: datetime) -> Delivery:
    return delivery.attempted(Attempt(at, timedelta(seconds=1), status), timedelta(hours=1), is_last=False)


def data_of(write: Create | Put | Update) -> Mapping[str, Any]:
    return write.data if isinstance(write, Create | Put) else write.fields


WRITES: list[Create | Put | Update] = [
    webhooks.create_delivery(PENDING),
    webhooks.update_delivery(stored("webhookDeliveries/id"), attempted(PENDING, 200, NOON)),
    mail.mail_for(REQUEST, "mail", "user@example.com"),
    api_keys.create_api_key(KEY),
    api_keys.update_revoked(stored("apiKeys/key"), replace(KEY, revoked_at=NOON)),
]


def test_ttl_policies_are_of_the_fields_that_the_code_writes() -> None:
    declared = json.loads((ROOT / "firestore.indexes.json").read_text("utf-8"))["fieldOverrides"]
    policies = {(field["collectionGroup"], field["fieldPath"]) for field in declared if field.get("ttl")}
    written = {
        (write.path.split("/")[0], name)
        for write in WRITES
        for name, value in data_of(write).items()
        if name == EXPIRE_AT and isinstance(value, datetime)
    }
    assert policies == written
    users = {
        path.stem for path in (ROOT / "functions/imagegen").rglob("*.py") if "EXPIRE_AT:" in path.read_text("utf-8")
    }
    assert users == {"webhooks", "mail", "api_keys"}, "add the new documents to this test and to firestore.indexes.json"


def test_nothing_that_is_still_needed_expires() -> None:
    assert PENDING.expires_at is None
    assert data_of(WRITES[0])[EXPIRE_AT] is None
    assert EXPIRE_AT not in data_of(WRITES[3])
    assert attempted(PENDING, 500, NOON).expires_at is None
    failed = attempted(PENDING, 500, NOON + RETRY_WINDOW)
    assert failed.resent(NOON + RETRY_WINDOW).expires_at is None


@pytest.mark.parametrize(
    "ended",
    [
        attempted(PENDING, 200, NOON),
        attempted(PENDING, 410, NOON),
        attempted(PENDING, 500, NOON + RETRY_WINDOW),
        PENDING.put_off(NOON + RETRY_WINDOW + timedelta(seconds=1)),
    ],
    ids=["delivered", "gone", "failed", "put off"],
)
def test_ended_delivery_can_be_resent_for_a_month(ended: Delivery) -> None:
    assert ended.expires_at is not None
    assert ended.expires_at >= NOON + KEPT


def test_mail_and_revoked_key_expire_after_their_end() -> None:
    assert data_of(WRITES[2])[EXPIRE_AT] == NOON + mail.KEPT
    assert data_of(WRITES[4])[EXPIRE_AT] == NOON + api_keys.REVOKED_KEPT
