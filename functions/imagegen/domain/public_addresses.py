"""Public addresses: webhooks may go to hosts on the Internet, and not to hosts in a private network."""

import re
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

Address = IPv4Address | IPv6Address

_NAME = re.compile(r"(?=.{1,253}$)([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.)+[a-z][a-z0-9-]{0,61}[a-z0-9]")
_PRIVATE_ZONES = ("localhost", "local", "localdomain", "internal", "home.arpa")
"""Domains that are resolved inside a private network, such as metadata.google.internal."""

_GLOBAL_UNICAST = IPv6Network("2000::/3")  # https://www.iana.org/assignments/ipv6-address-space
_NAT64 = IPv6Network("64:ff9b::/96")  # RFC 6052: the last 32 bits are an IPv4 address
# `is_global` is True for these: 6to4 relays, which can reach any IPv4 address, and addresses for documentation.
_RELAYED = (IPv6Network("2002::/16"), IPv4Network("192.88.99.0/24"), IPv6Network("3fff::/20"))


def is_public(address: Address) -> bool:
    """Return whether an address is global unicast by IANA's registries.

    An IPv6 address that contains an IPv4 address is public if the IPv4 address is.
    """
    if isinstance(address, IPv6Address):
        inner = _inner(address)
        if inner is not None:
            return is_public(inner)
        if address not in _GLOBAL_UNICAST:
            return False
    return address.is_global and not address.is_multicast and not any(address in network for network in _RELAYED)


def is_public_host(host: str) -> bool:
    """Return whether the host of a normalized URL may be public. A name can still resolve to a private address."""
    address = literal(host)
    if address is not None:
        return is_public(address)
    return _NAME.fullmatch(host) is not None and not any(
        host == zone or host.endswith(f".{zone}") for zone in _PRIVATE_ZONES
    )


def is_loopback_host(host: str) -> bool:
    """Return whether the host of a URL is this machine."""
    address = literal(host)
    return host == "localhost" if address is None else address.is_loopback


def literal(host: str) -> Address | None:
    """Return the address if a URL's host is one, or None if the host is a name."""
    try:
        return ip_address(host.removeprefix("[").removesuffix("]"))
    except ValueError:
        return None


def _inner(address: IPv6Address) -> IPv4Address | None:
    """Return the IPv4 address that an IPv6 address contains, or None."""
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.ipv4_mapped
