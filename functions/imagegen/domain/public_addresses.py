"""Public addresses: URLs of users may name hosts on the Internet, and not hosts in a private network.

The networks are listed here, because Python's own lists differ between its patch releases.
"""

import re
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address

_NAME = re.compile(r"(?=.{1,253}$)([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.)+[a-z][a-z0-9-]{0,61}[a-z0-9]")
_PRIVATE_ZONES = ("localhost", "local", "localdomain", "internal", "home.arpa")
"""Domains that are resolved inside a private network, such as metadata.google.internal."""

_SPECIAL: tuple[IPv4Network | IPv6Network, ...] = tuple(
    ip_network(network)
    for network in (
        # https://www.iana.org/assignments/iana-ipv4-special-registry: name, allocation date.
        # Networks inside these are left out. The registry calls some globally reachable, such as 192.0.0.9/32 and
        # 192.0.0.10/32, 192.31.196.0/24, 192.52.193.0/24 and 192.175.48.0/24. They are refused too: they are shared
        # addresses of network services, which the nearest network answers, and which may be the operator's own.
        "0.0.0.0/8",  # "This network", 1981-09
        "10.0.0.0/8",  # Private-Use, 1996-02
        "100.64.0.0/10",  # Shared Address Space, 2012-04
        "127.0.0.0/8",  # Loopback, 1981-09
        "169.254.0.0/16",  # Link Local, 2005-05
        "172.16.0.0/12",  # Private-Use, 1996-02
        "192.0.0.0/24",  # IETF Protocol Assignments, 2010-01
        "192.0.2.0/24",  # Documentation (TEST-NET-1), 2010-01
        "192.31.196.0/24",  # AS112-v4, 2014-12
        "192.52.193.0/24",  # AMT, 2014-12
        "192.88.99.0/24",  # Deprecated (6to4 Relay Anycast), 2001-06
        "192.168.0.0/16",  # Private-Use, 1996-02
        "192.175.48.0/24",  # Direct Delegation AS112 Service, 1996-01
        "198.18.0.0/15",  # Benchmarking, 1999-03
        "198.51.100.0/24",  # Documentation (TEST-NET-2), 2010-01
        "203.0.113.0/24",  # Documentation (TEST-NET-3), 2010-01
        "240.0.0.0/4",  # Reserved, 1989-08
        # https://www.iana.org/assignments/multicast-addresses
        "224.0.0.0/4",  # Multicast, 1989-08
        # https://www.iana.org/assignments/iana-ipv6-special-registry, as far as it is inside 2000::/3
        "2001::/23",  # IETF Protocol Assignments, such as Teredo and ORCHIDv2, 2000-09
        "2001:db8::/32",  # Documentation, 2004-07
        "2002::/16",  # 6to4, 2001-02
        "2620:4f:8000::/48",  # Direct Delegation AS112 Service, 2011-05
        "3fff::/20",  # Documentation, 2024-07
    )
)
_GLOBAL_UNICAST = IPv6Network("2000::/3")  # https://www.iana.org/assignments/ipv6-address-space
# The last 32 bits are an IPv4 address.
_WITH_IPV4 = (
    IPv6Network("::ffff:0:0/96"),  # IPv4-mapped Address, 2006-02
    IPv6Network("64:ff9b::/96"),  # IPv4-IPv6 Translat. (NAT64), 2010-10
)
_LOOPBACK = (IPv4Network("127.0.0.0/8"), IPv6Network("::1/128"))


def is_public(address: Address) -> bool:
    """Return whether an address is unicast and not in a network for special purposes.

    An IPv6 address that contains an IPv4 address is public if the IPv4 address is.
    """
    if isinstance(address, IPv6Address):
        if any(address in network for network in _WITH_IPV4):
            return is_public(IPv4Address(int(address) & 0xFFFF_FFFF))
        if address not in _GLOBAL_UNICAST:
            return False
    return not any(address in network for network in _SPECIAL)


def is_loopback(address: Address) -> bool:
    """Return whether an address is one of this machine."""
    return any(address in network for network in _LOOPBACK)


def is_public_host(host: str) -> bool:
    """Return whether the host of a normalized URL may be public. A name can still resolve to a private address."""
    address = literal(host)
    if address is not None:
        return is_public(address)
    name = host.removesuffix(".")  # the dot only says that the name is complete
    return _NAME.fullmatch(name) is not None and not any(
        name == zone or name.endswith(f".{zone}") for zone in _PRIVATE_ZONES
    )


def is_loopback_host(host: str) -> bool:
    """Return whether the host of a URL is this machine."""
    address = literal(host)
    return host == "localhost" if address is None else is_loopback(address)


CONTAINER_HOST = "host.docker.internal"
"""The name by which a container reaches the machine that it runs on."""


def is_localhost_name(host: str) -> bool:
    """Return whether the host of a URL is a name under ``localhost``, all of which are this machine (RFC 6761)."""
    return host.removesuffix(".").endswith(".localhost")


def literal(host: str) -> Address | None:
    """Return the address if a URL's host is one, or None if the host is a name."""
    try:
        return ip_address(host.removeprefix("[").removesuffix("]"))
    except ValueError:
        return None
