"""Tests of the committed seed in a fresh emulator: it matches its sources, and its balances match its ledgers."""

import json
from collections import Counter
from collections.abc import Iterator
from datetime import UTC
from typing import Any

import pytest
from google.cloud import firestore

from imagegen.domain.weeks import Week
from tests.support.invariants import violations
from tests.support.wire import ObservedClient
from tools.emulators.firestore_emulator import FirestoreEmulator
from tools.seed import export, history

Documents = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def seeded() -> Iterator[firestore.Client]:
    """Import the seed into an emulator of its own. Return a client."""
    with FirestoreEmulator(import_from=export.TARGET) as emulator, pytest.MonkeyPatch.context() as environment:
        environment.setenv("FIRESTORE_EMULATOR_HOST", emulator.host)
        yield firestore.Client(project="demo-imagegen")


@pytest.fixture(scope="module")
def requests(seeded: firestore.Client) -> Documents:
    return documents(seeded, "generationRequests")


def documents(client: firestore.Client, collection: str) -> Documents:
    return {document.id: document.to_dict() or {} for document in client.collection(collection).stream()}


def test_seed_is_written_by_the_real_services(client: ObservedClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the first few days of the plan are written. `make seed` writes all of it in the same way."""
    planned = history.plan()[:40]
    monkeypatch.setattr(history, "plan", lambda: planned)
    export.write_documents(client)
    assert violations(client) == []
    written = documents(client, "generationRequests").values()
    assert sorted(data["status"] for data in written) == sorted("failed" if p.fails else "completed" for p in planned)
    assert documents(client, "weeklyReports")[str(history.weeks()[0])]["total"]["requests"] == len(planned)


def test_seed_has_no_audit_findings(seeded: firestore.Client) -> None:
    assert violations(seeded) == []


def test_catalog_matches_the_sources(seeded: firestore.Client) -> None:
    for path, data in history.documents():
        assert seeded.document(path).get().to_dict() == data


def test_balances_match_the_sources(seeded: firestore.Client) -> None:
    users = documents(seeded, "users")
    source = history.source("users")["users"]
    assert set(users) == {user["id"] for user in source}
    for user in source:
        if not user.get("requestsPerWeek"):
            assert users[user["id"]]["credits"] == {"trial": user["trial"], "paid": user["paid"]}


def test_ledgers_start_with_a_grant(seeded: firestore.Client) -> None:
    for user in history.source("users")["users"]:
        entries = documents(seeded, f"users/{user['id']}/creditTransactions").values()
        first = next((entry for entry in entries if entry["seq"] == 1), None)
        granted = user["trial"] + user["paid"]
        assert (first and (first["type"], first["credits"])) == (("grant", granted) if granted else None)


def test_requests_match_the_plan(requests: Documents) -> None:
    planned = Counter(
        (
            request.order.user_id,
            request.order.model.name,
            request.order.style.name,
            request.order.color.name,
            request.order.size.name,
            request.order.prompt,
            "failed" if request.fails else "completed",
        )
        for request in history.plan()
    )
    fields = ("userId", "model", "style", "color", "size", "prompt", "status")
    assert Counter(tuple(data[field] for field in fields) for data in requests.values()) == planned
    assert 2_000 <= len(requests) <= 4_000


def test_requests_cover_all_weeks_with_fewer_on_weekends(requests: Documents) -> None:
    weeks = Counter(data["week"] for data in requests.values())
    assert sorted(weeks) == [str(week) for week in history.weeks()]
    weekdays = Counter(data["createdAt"].astimezone(UTC).weekday() for data in requests.values())
    assert min(weekdays[day] for day in range(5)) > max(weekdays[5], weekdays[6])
    for data in requests.values():
        assert data["week"] == str(Week.of(data["createdAt"]))
        assert data["finishedAt"] > data["startedAt"] >= data["createdAt"]


def test_only_the_planted_burst_is_reported_and_the_newest_week_has_no_report(
    seeded: firestore.Client,
) -> None:
    reports = documents(seeded, "weeklyReports")
    assert sorted(reports) == [str(week) for week in history.weeks()[:-1]]
    burst = history.source("history")["burst"]
    [week] = [str(week) for week in history.weeks() if burst["day"] in week.days]
    found = {(anomaly["name"], anomaly["kind"], anomaly["day"]) for anomaly in reports[week]["anomalies"]}
    assert found == {(burst["model"], "failures", burst["day"])}


def test_accounts_match_the_users() -> None:
    accounts = json.loads((export.TARGET / "auth_export" / "accounts.json").read_text("utf-8"))["users"]
    source = history.source("users")["users"]
    exported = {account["localId"]: (account["email"], account["emailVerified"]) for account in accounts}
    assert exported == {user["id"]: (export.email(user["id"]), user.get("emailVerified", True)) for user in source}
    assert [user for user, (_, verified) in exported.items() if not verified] == ["user-unverified"]
