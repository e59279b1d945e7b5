"""Which hosts a webhook may be sent to: what everyone on the Internet reaches, and nothing behind our walls."""

import re
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

Address = IPv4Address | IPv6Address

_NAME = re.compile(r"(?=.{1,253}$)([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.)+[a-z][a-z0-9-]{0,61}[a-z0-9]")
_PRIVATE_ZONES = ("localhost", "local", "localdomain", "internal", "home.arpa")
"""Names that are resolved inside a network; metadata.google.internal is one of them."""

_GLOBAL_UNICAST = IPv6Network("2000::/3")  # https://www.iana.org/assignments/ipv6-address-space
_NAT64 = IPv6Network("64:ff9b::/96")  # RFC 6052: holds an IPv4 address in its last 32 bits
# What `is_global` lets pass: relays of 6to4, by which any IPv4 address can be meant, and addresses for documentation.
_RELAYED = (IPv6Network("2002::/16"), IPv4Network("192.88.99.0/24"), IPv6Network("3fff::/20"))


def is_public(address: Address) -> bool:
    """Whether it is global unicast by IANA's registries; one that holds an IPv4 address is judged by that."""
    if isinstance(address, IPv6Address):
        inner = _inner(address)
        if inner is not None:
            return is_public(inner)
        if address not in _GLOBAL_UNICAST:
            return False
    return address.is_global and not address.is_multicast and not any(address in network for network in _RELAYED)


def is_public_host(host: str) -> bool:
    """Whether a URL's host, as the URL standard writes it, may be public; what it resolves to decides."""
    address = literal(host)
    if address is not None:
        return is_public(address)
    return _NAME.fullmatch(host) is not None and not any(
        host == zone or host.endswith(f".{zone}") for zone in _PRIVATE_ZONES
    )


def is_loopback_host(host: str) -> bool:
    address = literal(host)
    return host == "localhost" if address is None else address.is_loopback


def literal(host: str) -> Address | None:
    """The address that a URL's host is itself; None for a name."""
    try:
        return ip_address(host.removeprefix("[").removesuffix("]"))
    except ValueError:
        return None


def _inner(address: IPv6Address) -> IPv4Address | None:
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.ipv4_mapped
