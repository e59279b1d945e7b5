"""Tests of `make catalog`, which writes the catalog of a new project."""

import pytest

from imagegen.adapters.firestore import FirestoreDatabase
from imagegen.domain.catalog import Kind
from imagegen.ports.clock import SystemClock
from imagegen.services.catalog import Catalogs
from imagegen.services.purchases.packages import Packages
from simulation.payments import FakePayments
from tests.support.backend import Provider
from tests.support.catalog import CATALOG
from tests.support.wire import ObservedClient
from tools import catalog
from tools.seed.history import source


def test_catalog_is_created_and_never_overwritten(
    client: ObservedClient, provider: Provider, capsys: pytest.CaptureFixture[str]
) -> None:
    assert catalog.main([client.project]) == 0
    assert "models/model-a: created" in capsys.readouterr().out
    written = Catalogs(FirestoreDatabase(client), {"mock": provider}, SystemClock()).load()
    for kind in Kind:
        assert written.names(kind) == CATALOG.names(kind)
    assert [size.credit_cost for size in written.sizes] == [size.credit_cost for size in CATALOG.sizes]
    clock = SystemClock()
    offers = Packages(FirestoreDatabase(client), FakePayments(clock.now), clock).current()
    assert [offer.package.id for offer in offers or ()] == [package["id"] for package in source("catalog")["packages"]]

    client.document("sizes/512x512").update({"creditCost": 9})
    assert catalog.main([client.project]) == 0

    printed = capsys.readouterr().out
    assert "sizes/512x512: kept as it is; the file has other values of creditCost" in printed
    assert "models/model-a: exists" in printed
    assert client.document("sizes/512x512").get().get("creditCost") == 9


def test_project_must_be_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert catalog.main([]) == 2
    assert "make catalog PROJECT=" in capsys.readouterr().err
