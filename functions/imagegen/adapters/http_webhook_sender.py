"""Sends webhooks over HTTP, only to addresses that were checked."""

import asyncio
import socket
import ssl
from collections.abc import Mapping, Sequence
from enum import Enum
from functools import cached_property
from ipaddress import ip_address
from typing import TYPE_CHECKING

from pydantic_core import Url

from imagegen.dataclass import dataclass
from imagegen.domain.public_addresses import CONTAINER_HOST, Address, is_localhost_name, is_loopback, is_public
from imagegen.ports.webhook_sender import Answer, Forbidden, Unreachable

if TYPE_CHECKING:  # only the functions that send webhooks need it
    import httpx

TIMEOUT_SECONDS = 20.0
"""The timeout of an attempt, without name resolution. Standard Webhooks recommends 15 to 30 seconds."""

CONNECT_SHARE = 0.3
"""The share of the timeout for connecting. TLS may take the same share again."""

USER_AGENT = "imagegen-webhooks"


class Reach(Enum):
    """The addresses that a sender may connect to, and the allowed schemes."""

    PUBLIC = "public addresses by https: for URLs that users choose"
    LOCAL = "public addresses and this machine, by http too: where ALLOW_LOCAL_WEBHOOKS is on"
    DEMO = "the same, and the machine that a container runs on: for URLs that users of the local demo project choose"
    PRIVATE = "any address by https, and private ones by http: for URLs that the operator sets"

    def refusal(self, scheme: str, host: str, address: Address) -> str | None:
        """Return the reason why ``address`` of ``host`` is forbidden, or None if it is allowed."""
        if self is Reach.PRIVATE:
            return "the URL is http to a public address" if scheme == "http" and is_public(address) else None
        if is_public(address) or (self in (Reach.LOCAL, Reach.DEMO) and is_loopback(address)):
            return None
        if self is Reach.DEMO and host.removesuffix(".") == CONTAINER_HOST:
            return None
        return "the host's address is not public"


@dataclass(frozen=True)
class HttpWebhookSender:
    """The ``WebhookSender`` of the deployed functions.

    A name is resolved once, all its addresses must be allowed, and the connection goes to one of these addresses. With
    a second lookup, a DNS server could change its answer after the check (DNS rebinding). Certificate, SNI and Host
    header are those of the name. Redirects are not followed, proxy settings of the environment are ignored, and bodies
    of answers are not read.
    """

    reach: Reach = Reach.PUBLIC
    authorities: str | None = None
    timeout_seconds: float = TIMEOUT_SECONDS

    def send(self, url: str, body: str, headers: Mapping[str, str]) -> Answer:
        import httpx

        target = _parsed(url)
        if target.scheme not in (("https",) if self.reach is Reach.PUBLIC else ("https", "http")):
            raise Forbidden("the address is not an https URL")
        host = target.host or ""
        addresses = resolve(host, target.port or 0)
        for address in addresses:
            if refusal := self.reach.refusal(target.scheme, host, address):
                raise Forbidden(refusal)
        try:
            return asyncio.run(self._post(target, addresses, body, headers))
        except httpx.ConnectTimeout:
            raise Unreachable(f"no connection within {CONNECT_SHARE * self.timeout_seconds:g} s") from None
        except (TimeoutError, httpx.TimeoutException):
            raise Unreachable(f"the receiver took longer than {self.timeout_seconds:g} s") from None
        except (httpx.TransportError, httpx.InvalidURL) as error:
            raise Unreachable(f"no answer: {error or type(error).__name__}"[:200]) from None

    async def _post(self, target: Url, addresses: Sequence[Address], body: str, headers: Mapping[str, str]) -> Answer:
        """Post to the first address that accepts a connection, while there is time left. Return the answer."""
        import httpx

        time = asyncio.get_running_loop().time
        seconds = httpx.Timeout(self.timeout_seconds, connect=CONNECT_SHARE * self.timeout_seconds)
        last_start = time() + (1 - 2 * CONNECT_SHARE) * self.timeout_seconds
        # httpx limits each step only. A receiver that sends byte by byte needs a limit for the whole call.
        async with (
            asyncio.timeout(self.timeout_seconds),
            httpx.AsyncClient(verify=self._trust, trust_env=False, timeout=seconds) as http,
        ):
            for address in addresses:
                try:
                    return await _post_to(http, address, target, body, headers)
                except (httpx.ConnectError, httpx.ConnectTimeout):
                    if address == addresses[-1] or time() > last_start:
                        raise
        raise AssertionError("unreachable: a resolved name has an address")

    @cached_property
    def _trust(self) -> ssl.SSLContext:
        import certifi

        return ssl.create_default_context(cafile=self.authorities or certifi.where())


def _parsed(url: str) -> Url:
    """Parse a URL with the same code that validates the URLs of users. Raises Forbidden if it is not a URL."""
    try:
        return Url(url)
    except ValueError:
        raise Forbidden("the address is not a URL") from None


async def _post_to(
    http: "httpx.AsyncClient", address: Address, target: Url, body: str, headers: Mapping[str, str]
) -> Answer:
    host = f"[{address}]" if address.version == 6 else str(address)
    query = "" if target.query is None else f"?{target.query}"
    async with http.stream(
        "POST",
        f"{target.scheme}://{host}:{target.port}{target.path or '/'}{query}",
        content=body,
        headers={**headers, "host": _authority(target), "user-agent": USER_AGENT},
        extensions={"sni_hostname": (target.host or "").strip("[]").removesuffix(".")},  # no certificate has the dot
        follow_redirects=False,
    ) as answer:
        return Answer(answer.status_code, answer.headers.get("retry-after"))


def _authority(target: Url) -> str:
    """Return the Host header, with the port only if it is not the scheme's default."""
    usual = {"https": 443, "http": 80}[target.scheme]
    return target.host or "" if target.port == usual else f"{target.host}:{target.port}"


def resolve(host: str, port: int) -> list[Address]:
    """Return all addresses of a URL's host, in the order in which to try them. Raises Unreachable."""
    if is_localhost_name(host):
        host = "localhost"  # most resolvers do not know the names under localhost
    try:
        found = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise Unreachable("the host name cannot be resolved") from None
    return list(dict.fromkeys(ip_address(socket_address[0]) for *_, socket_address in found))
