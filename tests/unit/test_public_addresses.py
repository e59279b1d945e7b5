"""Tests of which URLs and addresses users may name: of a webhook, and of a photo."""

from collections.abc import Callable
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Any

import pytest

from imagegen.api.auth import Caller
from imagegen.api.context import Context
from imagegen.api.fields import PhotoUrl, WebhookUrl
from imagegen.api.requests import Request
from imagegen.api.validation import parse
from imagegen.domain.public_addresses import Address, is_loopback, is_public
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


class PhotoRequest(Request):
    photo_url: PhotoUrl


def photo_url_of(url: object) -> str:
    """Return the validated URL of a photo, normalized. Raises InvalidInput."""
    nobody: Any = None
    return parse(PhotoRequest, {"photoUrl": url}, Context(Caller(), nobody)).photo_url


def message_of(url: object, parse_url: Callable[[object], str] = url_of) -> str:
    with pytest.raises(InvalidInput) as refused:
        parse_url(url)
    [violation] = refused.value.details["violations"]
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
        ("https://example.com./x", "https://example.com./x"),
        ("https://example.com.:8443/", "https://example.com.:8443/"),
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
        ("https://example.com../", PRIVATE),
        ("https://metadata.google.internal%2e/", PRIVATE),
        ("https://intranet./", PRIVATE),
        ("https://./", PRIVATE),
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
    assert message_of(url, photo_url_of) == message


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("https://photos.example.com/1.jpg?size=1", "https://photos.example.com/1.jpg?size=1"),
        ("https://example.com./x", "https://example.com./x"),
        ("https://8.8.8.8:8443/x", "https://8.8.8.8:8443/x"),
        ("https://134744072/x", "https://8.8.8.8/x"),
        ("https://bücher.example.com/ü", "https://xn--bcher-kva.example.com/%C3%BC"),
    ],
)
def test_photo_at_a_public_host_is_accepted_and_normalized(url: str, kept: str) -> None:
    assert photo_url_of(url) == kept


@pytest.mark.parametrize("url", ["http://127.0.0.1:9000/x", "https://localhost/x", "http://example.com/x"])
def test_demo_project_allows_no_local_photo(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("ALLOW_LOCAL_WEBHOOKS", "true")
    assert message_of(url, photo_url_of) in (PRIVATE, NO_HTTPS)


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


DEMO_URLS = ["http://app.localhost:3000/hook", "http://host.docker.internal:9000/hook", "https://a.b.localhost./x"]


@pytest.mark.parametrize("url", DEMO_URLS)
@pytest.mark.parametrize("variable", ["GOOGLE_CLOUD_PROJECT", "GCLOUD_PROJECT"])
def test_demo_project_accepts_further_names_of_this_machine(
    monkeypatch: pytest.MonkeyPatch, url: str, variable: str
) -> None:
    monkeypatch.delenv("GOOGLE_CLOUD_PROJECT", raising=False)
    monkeypatch.setenv(variable, "demo-imagegen")
    assert message_of(url) in (PRIVATE, NO_HTTPS)
    monkeypatch.setenv("ALLOW_LOCAL_WEBHOOKS", "true")
    assert url_of(url) == url


@pytest.mark.parametrize("url", DEMO_URLS)
@pytest.mark.parametrize("project", ["imagegen", "my-demo-project", ""])
def test_other_project_refuses_them_even_with_local_webhooks(
    monkeypatch: pytest.MonkeyPatch, url: str, project: str
) -> None:
    monkeypatch.setenv("ALLOW_LOCAL_WEBHOOKS", "true")
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", project)
    monkeypatch.setenv("GCLOUD_PROJECT", project)
    assert message_of(url) == PRIVATE


@pytest.mark.parametrize("setting", ["", "yes", "1", "True ", "on"])
def test_only_true_allows_local_webhooks(monkeypatch: pytest.MonkeyPatch, setting: str) -> None:
    monkeypatch.setenv("ALLOW_LOCAL_WEBHOOKS", setting)
    assert message_of("http://127.0.0.1:9000/") == NO_HTTPS


# Addresses

# The special-purpose registries of IANA, with all networks. None of them is public, see domain/public_addresses.py.

IPV4_SPECIAL = [
    *("0.0.0.0/8", "0.0.0.0/32", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16"),
    *("172.16.0.0/12", "192.0.0.0/24", "192.0.0.0/29", "192.0.0.8/32", "192.0.0.9/32", "192.0.0.10/32"),
    *("192.0.0.170/32", "192.0.0.171/32", "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24"),
    *("192.88.99.0/24", "192.88.99.2/32", "192.168.0.0/16", "192.175.48.0/24", "198.18.0.0/15"),
    *("198.51.100.0/24", "203.0.113.0/24", "240.0.0.0/4", "255.255.255.255/32"),
]
IPV6_SPECIAL = [
    *("::1/128", "::/128", "64:ff9b:1::/48", "100::/64", "100:0:0:1::/64", "2001::/23", "2001::/32"),
    *("2001:1::1/128", "2001:1::2/128", "2001:1::3/128", "2001:2::/48", "2001:3::/32", "2001:4:112::/48"),
    *("2001:10::/28", "2001:20::/28", "2001:30::/28", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48"),
    *("3fff::/20", "5f00::/16", "fc00::/7", "fe80::/10"),
]
OTHER_SPECIAL = [
    *("224.0.0.0/4", "ff00::/8", "fec0::/10", "::/96", "::ffff:0:0:0/96", "4000::/3", "e000::/4"),
]
"""Multicast, and what is not global unicast: site-local, IPv4-compatible, IPv4-translated and unassigned addresses."""

IPV4_EMBEDDINGS = ("::ffff:0:0/96", "64:ff9b::/96")
"""Networks of IPv6 whose last 32 bits are an IPv4 address: IPv4-mapped and NAT64."""


def addresses_in(network: str) -> list[Address]:
    """Return the first, the last and some other addresses of a network."""
    inside = ip_network(network)
    size = inside.num_addresses
    return [inside[place] for place in sorted({0, 1 % size, size // 3, size // 2, size - 1})]


@pytest.mark.parametrize("network", [*IPV4_SPECIAL, *IPV6_SPECIAL, *OTHER_SPECIAL])
def test_no_address_of_a_special_network_is_public(network: str) -> None:
    assert [address for address in addresses_in(network) if is_public(address)] == []


@pytest.mark.parametrize("embedding", IPV4_EMBEDDINGS)
@pytest.mark.parametrize("network", [*IPV4_SPECIAL, "224.0.0.0/4"])
def test_no_embedded_special_address_is_public(network: str, embedding: str) -> None:
    base = int(ip_network(embedding)[0])
    for address in addresses_in(network):
        assert not is_public(IPv6Address(base + int(address)))


@pytest.mark.parametrize("network", [*IPV4_SPECIAL, "224.0.0.0/4", "8.8.8.8/32"])
def test_tunnel_to_an_ipv4_address_is_not_public(network: str) -> None:
    """6to4 and Teredo reach the IPv4 address that they contain, through a relay."""
    for address in addresses_in(network):
        assert not is_public(IPv6Address((0x2002 << 112) + (int(address) << 80) + 1))
        assert not is_public(IPv6Address((0x20010000 << 96) + (int(address) ^ 0xFFFF_FFFF)))


NEIGHBORS = [
    *("1.0.0.0", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255", "128.0.0.0"),
    *("169.253.255.255", "169.255.0.0", "172.15.255.255", "172.32.0.0", "191.255.255.255", "192.0.1.0"),
    *("192.0.1.255", "192.0.3.0", "192.31.195.255", "192.31.197.0", "192.52.192.255", "192.52.194.0"),
    *("192.88.98.255", "192.88.100.0", "192.167.255.255", "192.169.0.0", "192.175.47.255", "192.175.49.0"),
    *("198.17.255.255", "198.20.0.0", "198.51.99.255", "198.51.101.0", "203.0.112.255", "203.0.114.0"),
    *("223.255.255.255", "2001:200::", "2001:db7:ffff::", "2001:db9::", "2003::", "2620:4f:7fff:ffff::"),
    *("2620:4f:8001::", "3ffe::", "8.8.8.8", "1.1.1.1", "2606:4700::1111", "2a00:1450:4001::1"),
]
"""Addresses next to the special networks, and some well-known ones."""


@pytest.mark.parametrize("address", NEIGHBORS)
def test_address_next_to_a_special_network_is_public(address: str) -> None:
    public = ip_address(address)
    assert is_public(public)
    if public.version == 4:
        assert all(is_public(IPv6Address(int(ip_network(net)[0]) + int(public))) for net in IPV4_EMBEDDINGS)


@pytest.mark.parametrize("address", ["192.0.0.192", "192.0.0.9", "192.0.0.10", "fe80::1%eth0", "2001::1"])
def test_address_on_which_python_releases_differ_is_not_public(address: str) -> None:
    assert not is_public(ip_address(address))


@pytest.mark.parametrize("address", ["127.0.0.1", "127.255.0.1", "::1"])
def test_loopback_address_is_this_machine(address: str) -> None:
    assert is_loopback(ip_address(address))


@pytest.mark.parametrize("address", ["128.0.0.1", "0.0.0.0", "::", "::2", "::ffff:127.0.0.1", "10.0.0.1"])
def test_other_address_is_not_this_machine(address: str) -> None:
    assert not is_loopback(ip_address(address))
