"""Where users may have Duolog connect to: never into networks that only the platform itself can reach.

Whoever may set the address of a webhook could otherwise read what answers on the server's own loopback, its neighbours,
or a cloud's metadata service. `connect` looks a name up once, judges each address it stands for, and connects to that
very address: a name that changes between the look and the connection (DNS rebinding) gains nothing. Operators allow
networks and hosts of their own by DUOLOG_PRIVATE_ADDRESSES.
"""

from __future__ import annotations

import socket
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any

from django.conf import settings

from duolog.plugins.types import Reason

NAT64 = IPv6Network("64:ff9b::/96")


class AddressRefused(Exception):
    """An address that users may not have Duolog connect to; `reason` says which, and who can allow it."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason)
        self.reason = reason


def is_open(host: str, address: str) -> bool:
    """Tell whether users may connect to an address that a host's name stands for."""
    found = _plain(ip_address(address.partition("%")[0]))
    for allowed in settings.PRIVATE_ADDRESSES:
        if allowed.lower().rstrip(".") == host.lower().rstrip("."):
            return True
        with suppress(ValueError):  # a name
            if found in ip_network(allowed, strict=False):
                return True
    return found.is_global and not found.is_multicast


def connect(host: str, port: int, *, timeout: float | None) -> socket.socket:
    """Return a connection to a host's first address that answers, of those that are open to users.

    Raises AddressRefused where none of them is, and OSError where none answers.
    """
    # What a URL writes in brackets is an address of its own.
    found = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)
    refused, failed = "", OSError(f"{host} has no address")
    for family, kind, protocol, _name, place in found:
        address = str(place[0])
        if not is_open(host, address):
            refused = refused or address
            continue
        try:
            return _connected(family, kind, protocol, place, timeout)
        except OSError as error:
            failed = error
    if refused:
        told = Reason(
            "%(host)s is %(address)s, an address of a private network, which Duolog does not connect to; whoever runs "
            "Duolog can allow it by DUOLOG_PRIVATE_ADDRESSES",
            host=host,
            address=refused,
        )
        raise AddressRefused(told)
    raise failed


def _connected(family: int, kind: int, protocol: int, place: Any, timeout: float | None) -> socket.socket:
    made = socket.socket(family, kind, protocol)
    try:
        made.settimeout(timeout)
        made.connect(place)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except BaseException:
        made.close()
        raise
    return made


def _plain(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """Return the IPv4 address that an IPv6 one only wraps."""
    if isinstance(address, IPv6Address):
        if address in NAT64:
            return IPv4Address(int(address) & 0xFFFFFFFF)
        return address.ipv4_mapped or address.sixtofour or address
    return address
