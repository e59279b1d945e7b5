"""Tests of the HTTP webhook sender against real servers: addresses, certificates and timeouts."""

import itertools
import logging
import socket
import ssl
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
import trustme

from imagegen.adapters.http_webhook_sender import HttpWebhookSender, Reach
from imagegen.ports.webhook_sender import Answer, Forbidden, Unreachable
from tests.support.receivers import Receiver, receiving

NAME = "hooks.example.com"
LOCAL = HttpWebhookSender(Reach.LOCAL)
HEADERS = {"content-type": "application/json", "webhook-id": "1"}


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving(Receiver()) as receiver:
        yield receiver


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def trusting_sender(authority: trustme.CA, tmp_path: Path) -> HttpWebhookSender:
    """Return a sender that trusts only the test's certificate authority."""
    authority.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
    return HttpWebhookSender(Reach.LOCAL, authorities=str(tmp_path / "authority.pem"))


class FakeResolver:
    """A fake ``getaddrinfo``. Each call returns the next answer for the name, then repeats the last one."""

    def __init__(self) -> None:
        self.answers: dict[str, Iterator[list[str]]] = {}
        self.asked: list[str] = []

    def give(self, name: str, *answers: list[str]) -> None:
        self.answers[name] = itertools.chain(answers, itertools.repeat(answers[-1]))

    def __call__(self, host: str, port: int, *_args: Any, **_options: Any) -> list[Any]:
        self.asked.append(host)
        found = next(self.answers[host])
        return [(None, None, None, "", (address, port)) for address in found]


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> FakeResolver:
    names = FakeResolver()
    monkeypatch.setattr("imagegen.adapters.http_webhook_sender.socket.getaddrinfo", names)
    return names


def served(authority: trustme.CA, *names: str) -> ssl.SSLContext:
    """Return the TLS context of a server with a certificate for ``names``."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names).configure_cert(context)
    return context


# Messages


def test_message_is_sent_unchanged(receiver: Receiver) -> None:
    assert LOCAL.send(receiver.url("/a%2Fb?token=x%20y"), '{"prompt": "ünï"}', HEADERS).status_code == 204
    [received] = receiver.received
    assert (received.path, received.body.decode()) == ("/a%2Fb?token=x%20y", '{"prompt": "ünï"}')
    assert received.headers.items() >= {**HEADERS, "host": f"127.0.0.1:{receiver.port}"}.items()
    assert received.headers["user-agent"] == "imagegen-webhooks"


@pytest.mark.parametrize("status", [200, 204, 301, 404, 410, 429, 500, 503])
def test_send_returns_the_status(receiver: Receiver, status: int) -> None:
    receiver.answers = [status]
    assert LOCAL.send(receiver.url(), "{}", HEADERS).status_code == status


def test_send_returns_the_retry_after_header_unchanged(receiver: Receiver) -> None:
    receiver.answers = [429]
    receiver.finish = lambda handler: handler.send_header("Retry-After", "Sun, 06 Nov 1994 08:49:37 GMT")
    assert LOCAL.send(receiver.url(), "{}", HEADERS) == Answer(429, "Sun, 06 Nov 1994 08:49:37 GMT")
    receiver.finish = lambda _handler: None
    assert LOCAL.send(receiver.url(), "{}", HEADERS) == Answer(429)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirect_is_not_followed(receiver: Receiver, status: int) -> None:
    with receiving(Receiver()) as target:
        receiver.answers = [status]
        receiver.finish = lambda handler: handler.send_header("Location", target.url())
        assert LOCAL.send(receiver.url(), "{}", HEADERS).status_code == status
        assert target.received == []


def test_proxy_settings_of_the_environment_are_ignored(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    with receiving(Receiver()) as proxy:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
            monkeypatch.setenv(name, proxy.url("/"))
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        assert LOCAL.send(receiver.url(), "{}", HEADERS).status_code == 204
        assert (len(receiver.received), proxy.received) == (1, [])


# Addresses


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]"])
def test_loopback_is_refused_outside_the_demo_project(receiver: Receiver, host: str) -> None:
    with pytest.raises(Forbidden):
        HttpWebhookSender().send(f"https://{host}:{receiver.port}/", "{}", HEADERS)
    with pytest.raises(Forbidden):
        HttpWebhookSender().send(f"http://{host}:{receiver.port}/", "{}", HEADERS)
    assert receiver.received == []


@pytest.mark.parametrize(
    "answer",
    [
        ["127.0.0.1"],
        ["8.8.8.8", "127.0.0.1"],
        ["127.0.0.1", "8.8.8.8"],
        ["8.8.8.8", "10.0.0.1"],
        ["169.254.169.254"],
        ["::1"],
        ["::ffff:127.0.0.1"],
        ["64:ff9b::7f00:1"],
        ["2606:4700::1111", "fe80::1%eth0"],
    ],
    ids=str,
)
def test_name_with_a_private_address_is_refused(names: FakeResolver, answer: list[str]) -> None:
    names.give(NAME, answer)
    with pytest.raises(Forbidden, match="not public"):
        HttpWebhookSender().send(f"https://{NAME}/", "{}", HEADERS)


def test_http_is_refused_outside_the_demo_project(names: FakeResolver) -> None:
    names.give(NAME, ["8.8.8.8"])
    with pytest.raises(Forbidden, match="https"):
        HttpWebhookSender().send(f"http://{NAME}/", "{}", HEADERS)
    assert names.asked == []


def test_demo_project_allows_loopback_and_no_other_private_address(names: FakeResolver, receiver: Receiver) -> None:
    names.give(NAME, ["127.0.0.1", "10.0.0.1"])
    with pytest.raises(Forbidden):
        LOCAL.send(receiver.url(host=NAME), "{}", HEADERS)
    assert receiver.received == []


@pytest.mark.parametrize("reach", [Reach.LOCAL, Reach.DEMO])
def test_name_under_localhost_is_this_machine(reach: Reach, receiver: Receiver) -> None:
    assert HttpWebhookSender(reach).send(receiver.url(host="app.localhost"), "{}", HEADERS).status_code == 204
    with pytest.raises(Forbidden):
        HttpWebhookSender().send(f"https://app.localhost:{receiver.port}/", "{}", HEADERS)


@pytest.mark.parametrize("address", ["172.17.0.1", "192.168.65.254", "fdc4:f303:9324::254"])
def test_machine_of_a_container_is_allowed_in_the_demo_project_only(names: FakeResolver, address: str) -> None:
    assert Reach.DEMO.refusal("http", "host.docker.internal", ip_address(address)) is None
    names.give("host.docker.internal", [address])
    names.give(NAME, [address])
    for sender, host in ((LOCAL, "host.docker.internal"), (HttpWebhookSender(Reach.DEMO), NAME)):
        with pytest.raises(Forbidden):
            sender.send(f"http://{host}:9/", "{}", HEADERS)


@pytest.mark.parametrize("host", ["127.0.0.1", NAME])
def test_operator_webhook_may_use_http_to_private_addresses(names: FakeResolver, receiver: Receiver, host: str) -> None:
    names.give(host, ["127.0.0.1"])
    assert HttpWebhookSender(Reach.PRIVATE).send(receiver.url(host=host), "{}", HEADERS).status_code == 204


def test_operator_webhook_may_use_https_to_private_addresses(
    names: FakeResolver, trusting_sender: HttpWebhookSender, authority: trustme.CA
) -> None:
    names.give(NAME, ["127.0.0.1"])
    operators = replace(trusting_sender, reach=Reach.PRIVATE)
    with receiving(Receiver(), tls=served(authority, NAME)) as receiver:
        assert operators.send(receiver.url(host=NAME, scheme="https"), "{}", HEADERS).status_code == 204


@pytest.mark.parametrize("answer", [["8.8.8.8"], ["127.0.0.1", "8.8.8.8"]], ids=str)
def test_operator_webhook_may_not_use_http_to_public_addresses(
    names: FakeResolver, receiver: Receiver, answer: list[str]
) -> None:
    names.give(NAME, answer)
    with pytest.raises(Forbidden, match="http to a public address"):
        HttpWebhookSender(Reach.PRIVATE).send(receiver.url(host=NAME), "{}", HEADERS)
    assert receiver.received == []


@pytest.mark.parametrize("reach", Reach)
@pytest.mark.parametrize("url", ["no URL", "http://[broken/", "https://", "ftp://127.0.0.1/", "file:///etc/passwd"])
def test_invalid_url_is_refused(reach: Reach, url: str) -> None:
    with pytest.raises(Forbidden, match="is not a"):
        HttpWebhookSender(reach).send(url, "{}", HEADERS)


def test_dns_rebinding_has_no_effect(names: FakeResolver) -> None:
    """The name is resolved once, so a later answer of the resolver is not used."""
    with receiving(Receiver()) as first, receiving(Receiver(port=first.port), host="127.0.0.2") as second:
        names.give(NAME, ["127.0.0.1"], ["127.0.0.2"])
        assert LOCAL.send(first.url(host=NAME), "{}", HEADERS).status_code == 204
        assert (len(first.received), second.received) == (1, [])
        assert first.received[0].headers["host"] == f"{NAME}:{first.port}"
    assert names.asked == [NAME]


def test_next_address_is_tried_if_one_refuses_connections(names: FakeResolver, receiver: Receiver) -> None:
    names.give(NAME, ["127.0.0.9", "127.0.0.1"])
    assert LOCAL.send(receiver.url(host=NAME), "{}", HEADERS).status_code == 204


def test_unknown_name_is_unreachable(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(*_args: Any, **_options: Any) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr("imagegen.adapters.http_webhook_sender.socket.getaddrinfo", nothing)
    with pytest.raises(Unreachable, match="resolved"):
        HttpWebhookSender().send(f"https://{NAME}/", "{}", HEADERS)


def test_closed_port_is_unreachable() -> None:
    with receiving(Receiver()) as gone:
        pass
    with pytest.raises(Unreachable, match="no answer"):
        LOCAL.send(gone.url(), "{}", HEADERS)


# TLS


def test_certificate_is_checked_against_the_name(
    names: FakeResolver, trusting_sender: HttpWebhookSender, authority: trustme.CA
) -> None:
    names.give(NAME, ["127.0.0.1"])
    context = served(authority, NAME)
    asked_for: list[str | None] = []
    context.sni_callback = lambda _socket, name, _context: asked_for.append(name)
    with receiving(Receiver(), tls=context) as receiver:
        assert trusting_sender.send(receiver.url(host=NAME, scheme="https"), "{}", HEADERS).status_code == 204
        assert receiver.received[0].headers["host"] == f"{NAME}:{receiver.port}"
    assert asked_for == [NAME]


def test_certificate_of_a_name_is_accepted_for_the_name_with_a_final_dot(
    names: FakeResolver, trusting_sender: HttpWebhookSender, authority: trustme.CA
) -> None:
    names.give(f"{NAME}.", ["127.0.0.1"])
    with receiving(Receiver(), tls=served(authority, NAME)) as receiver:
        assert trusting_sender.send(receiver.url(host=f"{NAME}.", scheme="https"), "{}", HEADERS).status_code == 204


@pytest.mark.parametrize("other", ["other.example.com", "127.0.0.1"])
def test_certificate_of_another_name_is_refused(
    names: FakeResolver, trusting_sender: HttpWebhookSender, authority: trustme.CA, other: str
) -> None:
    names.give(NAME, ["127.0.0.1"])
    with receiving(Receiver(), tls=served(authority, other)) as receiver:
        with pytest.raises(Unreachable, match="certificate verify failed"):
            trusting_sender.send(receiver.url(host=NAME, scheme="https"), "{}", HEADERS)
        assert receiver.received == []


def test_certificate_of_an_unknown_authority_is_refused(names: FakeResolver, authority: trustme.CA) -> None:
    names.give(NAME, ["127.0.0.1"])
    with receiving(Receiver(), tls=served(authority, NAME)) as receiver:
        with pytest.raises(Unreachable, match="certificate verify failed"):
            LOCAL.send(receiver.url(host=NAME, scheme="https"), "{}", HEADERS)
        assert receiver.received == []


def test_certificate_of_an_address_is_accepted(trusting_sender: HttpWebhookSender, authority: trustme.CA) -> None:
    with receiving(Receiver(), tls=served(authority, "127.0.0.1")) as receiver:
        assert trusting_sender.send(receiver.url(scheme="https"), "{}", HEADERS).status_code == 204


# Timeouts and invalid answers


@pytest.fixture
def short_timeout_sender() -> HttpWebhookSender:
    return HttpWebhookSender(Reach.LOCAL, timeout_seconds=0.5)


def test_receiver_that_does_not_answer_times_out(short_timeout_sender: HttpWebhookSender) -> None:
    go_on = threading.Event()

    def wait(_handler: BaseHTTPRequestHandler) -> None:
        go_on.wait(20)

    with receiving(Receiver(finish=wait)) as receiver:
        with pytest.raises(Unreachable, match="the receiver took longer than"):
            short_timeout_sender.send(receiver.url(), "{}", HEADERS)
        go_on.set()


@pytest.mark.parametrize(
    ("scheme", "why"), [("http", "the receiver took longer than"), ("https", "no connection within")]
)
def test_receiver_that_sends_byte_by_byte_times_out(
    short_timeout_sender: HttpWebhookSender, scheme: str, why: str
) -> None:
    """Each byte arrives before the timeout, but the answer or the handshake never ends."""
    broken_off = threading.Event()

    def trickle() -> None:
        with listening.accept()[0] as connection:
            first = b"HTTP/1.1 200 OK\r\nx: " if scheme == "http" else b"\x16\x03\x03\x3f\xff"
            try:
                for byte in itertools.chain(first, itertools.repeat(2, 500)):
                    connection.sendall(bytes([byte]))
                    broken_off.wait(0.02)
            except OSError:
                broken_off.set()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=trickle, daemon=True).start()
        port = listening.getsockname()[1]
        with pytest.raises(Unreachable, match=why):
            short_timeout_sender.send(f"{scheme}://127.0.0.1:{port}/", "{}", HEADERS)
        assert broken_off.wait(20)


def test_endless_body_is_not_read() -> None:
    broken_off = threading.Event()

    def flood(handler: BaseHTTPRequestHandler) -> None:
        handler.end_headers()
        try:
            while True:
                handler.wfile.write(b"x" * 65_536)
        except OSError:
            broken_off.set()
            raise

    with receiving(Receiver([200], finish=flood)) as receiver:
        assert LOCAL.send(receiver.url(), "{}", HEADERS).status_code == 200
        assert broken_off.wait(20)


def test_answer_that_is_not_http_is_unreachable() -> None:
    def talk() -> None:
        with listening.accept()[0] as connection:
            connection.sendall(b"220 mail.example.com ESMTP\r\n")
            connection.recv(65_536)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=talk, daemon=True).start()
        with pytest.raises(Unreachable, match="no answer"):
            LOCAL.send(f"http://127.0.0.1:{listening.getsockname()[1]}/", "{}", HEADERS)


def test_url_is_not_logged_at_warning_level(receiver: Receiver, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        LOCAL.send(receiver.url("/secret-path"), "{}", HEADERS)
    assert "secret-path" not in caplog.text
