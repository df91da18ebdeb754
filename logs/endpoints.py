"""Where the listener listens, written as URLs: `syslog+udp://127.0.0.1:5514?zone=Asia/Shanghai`."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TypeVar
from urllib.parse import parse_qsl, urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.utils.translation import gettext

T = TypeVar("T")

PORTS = {
    "syslog+udp": 5514,
    "syslog+tcp": 5514,
    "syslog+tls": 6514,
    "gelf+udp": 12201,
    "gelf+tcp": 12201,
    "otlp+grpc": 4317,
}
"""What can be listened for, and the port where a URL names none; those below 1024 are root's."""
OPTIONS = {
    "syslog+udp": {"source", "zone"},
    "syslog+tcp": {"source", "zone"},
    "syslog+tls": {"source", "zone", "cert", "key"},
    "gelf+udp": {"source"},
    "gelf+tcp": {"source"},
}


class BadEndpoint(ValueError):
    """An endpoint makes no sense; the message says what is wrong with it."""


@dataclass(frozen=True)
class Endpoint:
    """One socket, and the source that its lines fill; of gRPC a token says.

    `zone` is that of syslog messages that name none, `cert` and `key` are files in PEM.
    """

    kind: str
    host: str
    port: int
    source: str = ""
    zone: str = "UTC"
    cert: str = ""
    key: str = ""

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.kind}://{host}:{self.port}"

    @property
    def protocol(self) -> str:
        """Return syslog, gelf or otlp."""
        return self.kind.partition("+")[0]

    @cached_property
    def tls(self) -> ssl.SSLContext | None:
        """Return the context of a TLS server (RFC 5425), None where the endpoint speaks plainly."""
        if self.kind != "syslog+tls":
            return None
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(self.cert, self.key or None)
        return context


def parse(url: str) -> Endpoint:
    """Return the endpoint that a URL names; raises BadEndpoint."""
    parts = urlsplit(url)
    kind = parts.scheme
    if kind not in PORTS:
        known = ", ".join(PORTS)
        raise BadEndpoint(gettext("%(url)s: known are %(known)s") % {"url": url, "known": known})
    given = dict(parse_qsl(parts.query))
    if unknown := sorted(given.keys() - OPTIONS.get(kind, set())):
        raise BadEndpoint(gettext("%(url)s: unknown option %(name)s") % {"url": url, "name": unknown[0]})
    _try(url, lambda: ZoneInfo(given.get("zone", "UTC")))
    port = _try(url, lambda: parts.port)
    endpoint = Endpoint(kind, parts.hostname or "127.0.0.1", PORTS[kind] if port is None else port, **given)
    endpoint = replace(endpoint, source=endpoint.source or endpoint.protocol)
    if kind == "syslog+tls":
        if not endpoint.cert:
            raise BadEndpoint(gettext("%(url)s: add ?cert=FILE&key=FILE, both in PEM") % {"url": url})
        _try(url, lambda: endpoint.tls)
    return endpoint


def _try(url: str, make: Callable[[], T]) -> T:
    try:
        return make()
    except (OSError, ValueError, ZoneInfoNotFoundError) as error:
        raise BadEndpoint(f"{url}: {error}") from error
