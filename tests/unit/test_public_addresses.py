"""Tests of which URLs and addresses a webhook may be sent to."""

from ipaddress import ip_address
from typing import Any

import pytest

from imagegen.api.auth import Caller
from imagegen.api.context import Context
from imagegen.api.fields import WebhookUrl
from imagegen.api.requests import Request
from imagegen.api.validation import parse
from imagegen.domain.public_addresses import is_public
from imagegen.errors import InvalidInput

NO_URL = "is not a URL"
NO_HTTPS = "must be an https URL"
PRIVATE = "must be at a public host"
PORT = "must not have a port below 1024 except 443"
LOGIN = "must not contain a user name or password"


class WebhookRequest(Request):
    webhook_url: WebhookUrl


def url_of(url: object) -> str:
    """Return the validated URL, normalized. Raises InvalidInput."""
    nobody: Any = None
    return parse(WebhookRequest, {"webhookUrl": url}, Context(Caller(), nobody)).webhook_url


def message_of(url: object) -> str:
    with pytest.raises(InvalidInput) as refused:
        url_of(url)
    [violation] = refused.value.details["violations"]
    assert violation["field"] == "webhookUrl"
    message: str = violation["message"]
    return message


@pytest.fixture(autouse=True)
def _not_the_demo_project(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALLOW_LOCAL_WEBHOOKS", "false")


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("https://example.com", "https://example.com/"),
        ("HTTPS://EXAMPLE.com/Hook?Token=a%2Fb#x", "https://example.com/Hook?Token=a%2Fb#x"),
        ("https://example.com:443/", "https://example.com/"),
        ("https://example.com:1024/", "https://example.com:1024/"),
        ("https://example.com:65535/", "https://example.com:65535/"),
        ("https://a.b-c.example.co.uk/hook", "https://a.b-c.example.co.uk/hook"),
        ("https://my_hooks.example.com/", "https://my_hooks.example.com/"),
        ("https://bücher.example.com/ü", "https://xn--bcher-kva.example.com/%C3%BC"),
        ("https://пример.рф/", "https://xn--e1afmkfd.xn--p1ai/"),
        ("https://8.8.8.8/", "https://8.8.8.8/"),
        ("https://134744072/", "https://8.8.8.8/"),
        ("https://[2606:4700::1111]/", "https://[2606:4700::1111]/"),
        ("https://localhost.example.com/", "https://localhost.example.com/"),
        ("https://internal.example.com/", "https://internal.example.com/"),
        ("https://example.com/@evil", "https://example.com/@evil"),
        ("https://example.com\\@127.0.0.1/", "https://example.com/@127.0.0.1/"),
        ("https://example.com/http://127.0.0.1/", "https://example.com/http://127.0.0.1/"),
        ("https://example.com/" + "x" * 2028, "https://example.com/" + "x" * 2028),
    ],
    ids=lambda text: text[:40],
)
def test_public_https_url_is_accepted_and_normalized(url: str, kept: str) -> None:
    assert url_of(url) == kept


@pytest.mark.parametrize(
    ("url", "message"),
    [
        # Not an https URL
        ("", NO_URL),
        ("example.com/hook", NO_URL),
        ("https://", NO_URL),
        ("https://256.1.1.1/", NO_URL),
        ("https://example.com:65536/", NO_URL),
        ("https://example.com:+443/", NO_URL),
        ("https://exa mple.com/", NO_URL),
        ("https://[fe80::1%25eth0]/", NO_URL),
        ("https://[fe80::1%eth0]/", NO_URL),
        ("https://[::1/", NO_URL),
        ("http://example.com/", NO_HTTPS),
        ("ftp://example.com/", NO_HTTPS),
        ("file:///etc/passwd", NO_HTTPS),
        ("gopher://example.com/", NO_HTTPS),
        ("javascript:alert(1)", NO_HTTPS),
        ("https://example.com/a b", NO_HTTPS),
        ("https://exa\tmple.com/", NO_HTTPS),
        ("https://example.com/\n", NO_HTTPS),
        ("https://exam\u00adple.com/", NO_HTTPS),
        ("https://example.com/" + "x" * 2029, "must have at most 2048 characters"),
        (17, "must be a string"),
        # User names
        ("https://user@example.com/", LOGIN),
        ("https://user:secret@example.com/", LOGIN),
        ("https://:secret@example.com/", LOGIN),
        ("https://example.com@evil.com/", LOGIN),
        ("https://example.com%40evil.com@1.1.1.1/", LOGIN),
        # Ports
        ("https://example.com:0/", PORT),
        ("https://example.com:22/", PORT),
        ("https://example.com:80/", PORT),
        ("https://example.com:1023/", PORT),
        # Names in a private network, in every notation
        ("https://localhost/", PRIVATE),
        ("https://LOCALHOST:8443/", PRIVATE),
        ("https://localhost./", PRIVATE),
        ("https://%6c%6fcalhost/", PRIVATE),
        ("https://ⓛocalhost/", PRIVATE),
        ("https://api.localhost/", PRIVATE),
        ("https://metadata/", PRIVATE),
        ("https://metadata.google.internal/", PRIVATE),
        ("https://metadata.google.internal./", PRIVATE),
        ("https://metadata。google。internal/", PRIVATE),
        ("https://db.internal/", PRIVATE),
        ("https://printer.local/", PRIVATE),
        ("https://nas.home.arpa/", PRIVATE),
        ("https://host.localdomain/", PRIVATE),
        ("https://intranet/", PRIVATE),
        ("https://example.com./", PRIVATE),
        ("https://a..b.com/", PRIVATE),
        ("https://.example.com/", PRIVATE),
        ("https://" + "a" * 64 + ".com/", PRIVATE),
        # IPv4, in every notation
        ("https://127.0.0.1/", PRIVATE),
        ("https://127.0.0.1./", PRIVATE),
        ("https://127.1/", PRIVATE),
        ("https://2130706433/", PRIVATE),
        ("https://017700000001/", PRIVATE),
        ("https://0177.0.0.1/", PRIVATE),
        ("https://0x7f000001/", PRIVATE),
        ("https://0x7f.0.0.0x1/", PRIVATE),
        ("https://\uff11\uff12\uff17.0.0.1/", PRIVATE),
        ("https://0/", PRIVATE),
        ("https://10.1.2.3/", PRIVATE),
        ("https://100.64.0.1/", PRIVATE),
        ("https://169.254.169.254/computeMetadata/v1/", PRIVATE),
        ("https://0xA9FEA9FE/", PRIVATE),
        ("https://172.16.0.1/", PRIVATE),
        ("https://192.168.1.1/", PRIVATE),
        ("https://224.0.0.1/", PRIVATE),
        ("https://255.255.255.255/", PRIVATE),
        # IPv6
        ("https://[::1]/", PRIVATE),
        ("https://[::]/", PRIVATE),
        ("https://[0:0:0:0:0:0:0:1]/", PRIVATE),
        ("https://[::ffff:127.0.0.1]/", PRIVATE),
        ("https://[::ffff:a9fe:a9fe]/", PRIVATE),
        ("https://[fe80::1]/", PRIVATE),
        ("https://[fd00:ec2::254]/", PRIVATE),
        ("https://[ff02::1]/", PRIVATE),
    ],
    ids=lambda text: str(text)[:40],
)
def test_other_url_is_refused_with_the_reason(url: object, message: str) -> None:
    assert message_of(url) == message


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:9000/hook", "http://localhost/", "https://[::1]:9443/", "http://example.com/"]
)
def test_demo_project_accepts_http_and_loopback(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("ALLOW_LOCAL_WEBHOOKS", "true")
    assert url_of(url) == url


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("http://10.0.0.1/", PRIVATE),
        ("https://169.254.169.254/", PRIVATE),
        ("http://metadata.google.internal/", PRIVATE),
        ("ftp://127.0.0.1/", NO_HTTPS),
        ("http://user@127.0.0.1/", LOGIN),
        ("http://127.0.0.1:22/", PORT),
    ],
)
def test_demo_project_refuses_other_private_urls(monkeypatch: pytest.MonkeyPatch, url: str, message: str) -> None:
    monkeypatch.setenv("ALLOW_LOCAL_WEBHOOKS", "true")
    assert message_of(url) == message


@pytest.mark.parametrize("setting", ["", "yes", "1", "True ", "on"])
def test_only_true_allows_local_webhooks(monkeypatch: pytest.MonkeyPatch, setting: str) -> None:
    monkeypatch.setenv("ALLOW_LOCAL_WEBHOOKS", setting)
    assert message_of("http://127.0.0.1:9000/") == NO_HTTPS


@pytest.mark.parametrize(
    "address",
    ["8.8.8.8", "1.1.1.1", "203.0.114.1", "2606:4700::1111", "2a00:1450:4001::1", "::ffff:8.8.8.8", "64:ff9b::808:808"],
)
def test_public_address_is_public(address: str) -> None:
    assert is_public(ip_address(address))


@pytest.mark.parametrize(
    "address",
    [
        *("0.0.0.0", "0.1.2.3", "10.0.0.1", "100.64.0.1", "100.127.255.255", "127.0.0.1", "127.255.0.1"),
        *("169.254.169.254", "172.16.0.1", "172.31.255.255", "192.0.0.1", "192.0.2.1", "192.88.99.1", "192.168.0.1"),
        *("198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255"),
        *("::", "::1", "::127.0.0.1", "::8.8.8.8", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254"),
        *("64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b::a00:1", "64:ff9b:1::808:808"),  # NAT64
        *("2002:7f00:1::", "2002:808:808::1", "2001:0:53aa:64c::1", "2001::1"),  # 6to4, Teredo
        *("2001:db8::1", "3fff::1", "100::1", "5f00::1", "4000::1", "fec0::1", "fc00::1", "fd00:ec2::254"),
        *("fe80::1", "fe80::1%eth0", "ff02::1", "ff0e::1"),
    ],
)
def test_special_address_is_not_public(address: str) -> None:
    assert not is_public(ip_address(address))
