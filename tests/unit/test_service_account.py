"""Tests of the credentials of the functions' service account, with a key file and a token server of the tests."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from imagegen.adapters.generators.vertex import NoToken
from imagegen.adapters.service_account import ServiceAccount
from tests.support.token_server import TokenServer, token_server


@pytest.fixture
def server() -> Iterator[TokenServer]:
    with token_server() as server:
        yield server


@pytest.fixture(autouse=True)
def _key_file(server: TokenServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key = rsa.generate_private_key(public_exponent=65_537, key_size=2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    account = {
        "type": "service_account",
        "project_id": "demo-images",
        "client_email": "functions@demo-images.iam.gserviceaccount.com",
        "private_key": key.decode(),
        "private_key_id": "1",
        "token_uri": server.url,
    }
    file = tmp_path / "key.json"
    file.write_text(json.dumps(account))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(file))


def test_token_is_fetched_once_while_it_is_valid(server: TokenServer) -> None:
    account = ServiceAccount()
    assert account.project() == "demo-images"
    assert [account.token() for _ in range(3)] == ["token-1"] * 3
    assert server.requests == 1


def test_refused_token_is_not_transient(server: TokenServer) -> None:
    server.status = 400
    with pytest.raises(NoToken) as error:
        ServiceAccount().token()
    assert not error.value.is_transient


def test_failing_token_server_is_transient(server: TokenServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)  # the library waits before each retry
    server.status = 503
    account = ServiceAccount()
    with pytest.raises(NoToken) as error:
        account.token()
    assert error.value.is_transient
    server.status = 200
    assert account.token().startswith("token-")


def test_missing_credentials_are_not_transient(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "none.json"))
    with pytest.raises(NoToken) as error:
        ServiceAccount().project()
    assert not error.value.is_transient
