"""What notifiers over HTTP share: one bounded POST to an address that users may send to, and what its answer means.

No redirect is followed, no proxy read from the environment, and no connection kept: each one is judged where it is made
(`duolog.addresses`). No reason tells more of an address than its host, because the rest may be the key.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

import msgspec
import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from analysis.engine.lines import cut, shown
from analysis.retry_after import BUSY, seconds
from duolog import addresses
from duolog.addresses import AddressRefused
from duolog.plugins.types import NotDelivered, Reason

CONNECT, READ, WHOLE = 5.0, 10.0, 20.0
"""Seconds to connect, to wait for the next byte, and for all of it."""
MOST = 64 << 10
"""Bytes of an answer that are read."""
SAID = 300
"""Characters of an answer that a reason tells."""
PAUSE = 60.0
"""Seconds until a bot that was told too much is told more, where it does not say."""


class _Plain(HTTPConnection):
    def _new_conn(self) -> Any:
        return addresses.connect(self._dns_host, self.port, timeout=self.timeout)


class _Secure(HTTPSConnection):
    def _new_conn(self) -> Any:
        return addresses.connect(self._dns_host, self.port, timeout=self.timeout)


class _PlainPool(HTTPConnectionPool):
    ConnectionCls = _Plain


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _Secure


def checked(url: str) -> str:
    """Return an address as it is used; raise ValueError, without telling it, if it is none of http or https."""
    try:
        parts = urlsplit(url.strip())
        fits = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        fits = False
    if not fits or not url.strip().isascii() or " " in url.strip() or not url.strip().isprintable():
        raise ValueError(Reason("the address is none of the form https://host/path"))
    if parts.username or parts.password:
        raise ValueError(Reason("the address holds a user or password, which have no place there"))
    return url.strip()


def post(url: str, body: bytes, *, headers: Mapping[str, str] | None = None) -> bytes:
    """Return what a receiver answers with 2xx to JSON; raise NotDelivered for all else.

    What it said is told in the reason. A status of 4xx is final, but for those that tell of a receiver that is busy.
    """
    host = urlsplit(url).hostname or ""
    sent = {"Content-Type": "application/json; charset=utf-8", "User-Agent": "duolog", "Accept-Encoding": "identity"}
    manager = urllib3.PoolManager(num_pools=1, retries=False)
    manager.pool_classes_by_scheme = {"http": _PlainPool, "https": _SecurePool}
    until = time.monotonic() + WHOLE
    try:
        response = manager.request(
            "POST", url, body=body, headers=sent | dict(headers or {}), redirect=False, retries=False,
            preload_content=False, timeout=urllib3.Timeout(connect=CONNECT, read=READ),
        )  # fmt: skip
        try:
            answer = _read(response, until)
        finally:
            response.close()
    except AddressRefused as error:
        raise NotDelivered(error.reason) from None
    except (urllib3.exceptions.HTTPError, OSError, UnicodeError) as error:
        told = Reason("%(host)s cannot be reached: %(error)s", host=host, error=_why(error))
        raise NotDelivered(told) from None
    finally:
        manager.clear()
    if 200 <= response.status < 300:
        return answer
    told = Reason("%(host)s answers %(status)s: %(said)s", host=host, status=response.status, said=said(answer))
    after = seconds(response.headers.get("Retry-After", ""))
    busy = response.status in BUSY or response.status >= 500
    wait = after or (PAUSE if response.status == 429 else None)
    raise NotDelivered(told, retry_after=wait, permanent=not busy)


def post_to_bot(
    url: str, message: Mapping[str, Any], *, code: str, busy: frozenset[int], wrong: frozenset[int]
) -> None:
    """Send a message to a bot that answers 200 whatever happens: only a `code` of 0 in its JSON is success.

    Codes of `busy` ask for a pause, those of `wrong` tell that the channel is not set up right. Others may pass.
    """
    answer = post(url, encoded(message))
    found: Any = None
    with suppress(msgspec.DecodeError, RecursionError):
        found = msgspec.json.decode(answer)
    number = found.get(code) if isinstance(found, dict) else None
    if number == 0 and number is not False:
        return
    told = Reason("%(host)s did not take it: %(said)s", host=urlsplit(url).hostname or "", said=said(answer))
    raise NotDelivered(told, retry_after=PAUSE if number in busy else None, permanent=number in wrong)


def encoded(message: Mapping[str, Any] | list[Any]) -> bytes:
    """Return JSON in UTF-8, with Chinese as it is: limits of size are limits of these bytes."""
    return json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode()


def said(answer: bytes) -> str:
    """Return an answer as a reason tells it: in one line, cut."""
    return cut(shown(answer.decode("utf-8", "replace").strip()), SAID)


def _read(response: urllib3.BaseHTTPResponse, until: float) -> bytes:
    """Return the beginning of an answer; what never ends is left in time."""
    found = b""
    while len(found) < MOST and time.monotonic() < until and (data := response.read1(MOST)):
        found += data
    return found[:MOST]


def _why(error: BaseException) -> str:
    """Return the cause that urllib3 wrapped, in its own words: nothing of the request is in these."""
    cause = next((each for each in error.args if isinstance(each, BaseException)), error)
    if isinstance(cause, urllib3.exceptions.TimeoutError | TimeoutError):
        return "it does not answer in time"
    told = cause.strerror if isinstance(cause, OSError) and cause.strerror else str(cause)
    return cut(shown(told), SAID)
