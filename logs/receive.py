"""Lines from shippers: who may send, how much, and the way of a batch from its bytes to its receipt.

Accepted means committed: a receiver hears of a receipt only when lines and receipt are on disk. What overloads us is
refused before anything of it is stored, so that the shipper can send the whole again.
"""

from __future__ import annotations

import base64
import binascii
import logging
import time
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from functools import partial
from hashlib import blake2b

from django.conf import settings
from django.db import Error, connection, transaction
from django.db.models import Sum
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext
from django.views.decorators.csrf import csrf_exempt

from duolog import access
from duolog.plugins import guard, registry
from duolog.plugins.points import Receiver
from duolog.plugins.registry import PluginError
from duolog.plugins.types import LogBatch, Receipt, Received, Refused, Reply
from logs import datasets, redaction, storage, templates
from logs.engine.chunks import Lines
from logs.engine.unpack import unpack
from logs.models import PendingChunk, Source
from workers import streams

logger = logging.getLogger(__name__)

GROUP = "duolog.receivers"
DEFAULT = "default"
"""The source of a token that names none."""
KNOWN_SECONDS = 15.0
"""How long a process takes a token for what it was: a revoked one may send for so long."""
LOOK_SECONDS = 0.5
"""How often a process asks how many lines wait."""
WAIT = 5
"""Seconds after which an overloaded client may send again."""


@dataclass(frozen=True, slots=True)
class Sender:
    """What a shipper's token allows: which source it fills, and how fast (0: without a limit)."""

    project: str
    source: Source
    lines_per_second: int
    token: int


_senders: dict[str, tuple[float, Sender]] = {}
_waiting = (0.0, 0)
_spent: dict[int, tuple[float, float]] = {}


@csrf_exempt
def receive(request: HttpRequest, receiver: str, path: str, project: str = "") -> HttpResponse:
    """Answer a shipper as the protocol's own server would; `project` is that of the path's prefix, if it has one."""
    plugin: Receiver = _receiver(receiver)
    headers = {name.lower(): value for name, value in request.headers.items()}
    received = Received(request.method or "", path, headers.get("content-type", ""), request.GET.dict(), headers, b"")
    try:
        sender = authenticate(headers, project)
        body = _body(request, headers)
        received = Received(received.method, path, received.content_type, received.query, headers, body)
        reply = guard.call(plugin, "handle", received, partial(store, sender, receiver, plugin.overloaded, body))
    except Refused as refused:
        reply = _with_headers(plugin.refuse(received, refused), refused)
    except (PluginError, Error):
        logger.exception("receiver=%s", receiver)
        connection.close()
        broken = Refused(503, gettext("nothing can be stored at the moment"), retry_after=WAIT)
        reply = _with_headers(plugin.refuse(received, broken), broken)
    response = HttpResponse(reply.body, status=reply.status, content_type=reply.content_type or None)
    for name, value in reply.headers.items():
        response[name] = value
    return response


def _with_headers(reply: Reply, refused: Refused) -> Reply:
    headers = {**reply.headers}
    if refused.status == 401:
        headers.setdefault("WWW-Authenticate", 'Basic realm="duolog"')  # some clients send no password unasked
    if refused.retry_after:
        headers["Retry-After"] = str(refused.retry_after)
    return replace(reply, headers=headers)


def _receiver(name: str) -> Receiver:
    """Return this process's one instance of a receiver."""
    if name not in _receivers:
        given = {
            "max_line": settings.MAX_LINE_BYTES,
            "max_unpacked": settings.INGEST_BYTES,
            "version": settings.ELASTIC_VERSION,
        }
        known = {field.name for field in fields(registry.get(GROUP, name).Options)}
        given = {option: value for option, value in given.items() if option in known}
        _receivers[name] = registry.create(GROUP, name, given)  # type: ignore[assignment]
    return _receivers[name]


_receivers: dict[str, Receiver] = {}


def authenticate(headers: dict[str, str], project: str = "") -> Sender:
    """Return who sends; raise Refused for a token that is missing, unknown, or another project's.

    Shippers put it where their protocol puts secrets: Bearer, Basic (as name or password), ApiKey, Splunk, or a header
    of its own. Loki's tenant (X-Scope-OrgID) may name the project, or be the token itself.
    """
    tenant = headers.get("x-scope-orgid", "")
    text = next((each for each in _candidates(headers) if each.startswith(access.TOKEN_PREFIX)), "")
    if not text:
        raise _stranger(gettext("there is no token; send one as “Authorization: Bearer duo_…”"))
    sender = _known(text)
    wanted = project or ("" if tenant.startswith(access.TOKEN_PREFIX) else tenant)
    if sender is None or (wanted and wanted != sender.project):
        raise _stranger(gettext("this token sends no lines here; `duolog token --project` issues one that does"))
    return sender


def _candidates(headers: dict[str, str]) -> list[str]:
    scheme, _, value = headers.get("authorization", "").strip().partition(" ")
    found = [value.strip(), scheme, headers.get("x-duolog-token", ""), headers.get("x-api-key", "")]
    found.append(headers.get("x-scope-orgid", ""))
    if scheme.lower() in ("basic", "apikey"):
        with suppress(binascii.Error, UnicodeDecodeError):
            found += base64.b64decode(value.strip(), validate=True).decode().split(":", 1)[::-1]
    return found


def _stranger(reason: str) -> Refused:
    return Refused(401, reason)


def _known(text: str) -> Sender | None:
    found = _senders.get(text)
    if found and found[0] > time.monotonic():
        return found[1]
    _senders.pop(text, None)
    token = access.find_token(text, shipper=True)
    if token is None:
        return None
    rate = settings.TOKEN_LINES_PER_SECOND if token.lines_per_second is None else token.lines_per_second
    sender = Sender(token.project, source(token.project, token.source or DEFAULT), rate, token.pk)
    _senders[text] = time.monotonic() + KNOWN_SECONDS, sender
    return sender


def source(project: str, name: str) -> Source:
    """Return a source of a project, made with a dataset of its name where it is not there yet."""
    with transaction.atomic():
        dataset = datasets.get_or_create(project=project, name=dataset_name(name))
        found = Source.objects.select_related("project")
        return found.get_or_create(project=dataset.project, name=name, defaults={"dataset": dataset})[0]


def dataset_name(source: str) -> str:
    """Return the name of the dataset that is made with a source."""
    return f"live-{source}"


def _body(request: HttpRequest, headers: dict[str, str]) -> bytes:
    """Return the request's body, unpacked; raise Refused beyond the limit, whether packed or not."""
    most = settings.INGEST_BYTES
    if "chunked" in headers.get("transfer-encoding", "").lower():
        raw = request.environ["wsgi.input"].read(most + 1)  # type: ignore[attr-defined]  # Django waits for a length
    else:
        raw = request.read(most + 1)
    if len(raw) > most:
        reason = gettext("the request holds more than %(most)d bytes (DUOLOG_INGEST_BYTES); send smaller batches")
        raise Refused(413, reason % {"most": most})
    return unpack(raw, headers.get("content-encoding", ""), most)


def store(sender: Sender, receiver: str, overloaded: int, body: bytes | None, batch: LogBatch) -> Receipt:
    """Commit a batch: redacted, packed, once. Without a `body` to know it by, it is always new.

    Raises Refused with the protocol's `overloaded` where the shipper is to wait, and with 503 while nothing can be
    stored.
    """
    try:
        _admit(sender, len(batch.texts), overloaded)
        receipt = _commit(sender.source, receiver, body, batch)
    except Error as error:  # an InterfaceError is no DatabaseError
        logger.warning("receiver=%s: %s", receiver, error)
        connection.close()
        raise Refused(503, gettext("nothing can be stored at the moment"), retry_after=WAIT) from error
    if not receipt.duplicate and receipt.lines:
        streams.ring("sequence", sender.source.pk)
    return receipt


def _commit(source: Source, receiver: str, body: bytes | None, batch: LogBatch) -> Receipt:
    project = source.project
    texts, attributes, rejected, counts = redaction.redact(project, batch.texts, batch.attributes, batch.rejected)
    now = time.time()
    times = [now if each is None else each for each in batch.times]
    # Outside the transaction: no other process must wait for its end, or meet a table that is half made.
    storage.ensure_part(storage.last_day(source))
    with transaction.atomic():
        numbers = templates.match(project.pk, texts) if texts else []
        return storage.store(
            source,
            Lines(texts, times, batch.services, batch.levels, attributes, numbers),
            rejected,
            receiver=receiver,
            redacted=counts,
            digest=blake2b(body, digest_size=16).digest() if body is not None else None,
            timeless=not any(batch.times),
        )


def _admit(sender: Sender, lines: int, overloaded: int) -> None:
    """Raise Refused where too many lines wait for their sequences, or the token sends more than it may."""
    global _waiting
    now = time.monotonic()
    if now > _waiting[0] + LOOK_SECONDS:
        _waiting = now, PendingChunk.objects.aggregate(lines=Sum("lines"))["lines"] or 0
    if _waiting[1] > settings.BACKLOG_LINES:
        reason = gettext("%(lines)d lines wait for their sequences (DUOLOG_BACKLOG_LINES); send again later")
        raise Refused(overloaded, reason % {"lines": _waiting[1]}, retry_after=WAIT)
    if sender.lines_per_second:
        # A bucket that holds a second's worth; a batch may overdraw it, and the next one waits. Each web process has
        # buckets of its own.
        at, left = _spent.get(sender.token, (now, float(sender.lines_per_second)))
        left = min(sender.lines_per_second, left + (now - at) * sender.lines_per_second)
        if left <= 0:
            reason = gettext("this token may send %(lines)d lines a second")
            wait = max(1, round(-left / sender.lines_per_second))
            raise Refused(overloaded, reason % {"lines": sender.lines_per_second}, retry_after=wait)
        _spent[sender.token] = now, left - lines
