"""Syslog messages to the columns of a batch: RFC 5424, RFC 3164, and what devices make of the latter."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime, tzinfo
from functools import lru_cache

import msgspec

from duolog.plugins.types import BadRecord, LogBatch, Reason
from logs.engine import times
from logs.engine.encodings import text as decoded
from logs.engine.framing import HEADER
from logs.engine.levels import SYSLOG
from logs.engine.sanity import MAX_LINE_BYTES, NO_UTF8, refused, sift

FACILITIES = (
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp", "ntp",
    "audit", "alert", "clock", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
)  # fmt: skip
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
AHEAD = 24 * 3600
"""Seconds that a sender's clock may be ahead before a date without a year is taken for last year's."""
SEVERAL = re.compile(rb"\r?\n(?=<[0-9]{1,3}>)")
PRIORITY = re.compile(r"<([0-9]{1,3})>")
MODERN = re.compile(r"[1-9][0-9]{0,2} (\S+) (\S+) (\S+) (\S+) (\S+) (-|\[)")
PARAMETER = re.compile(r' +([^\s="\]]+)="((?:[^"\\]|\\.)*+)"', re.DOTALL)
ELEMENT = re.compile(r"\[([^\s=\]\"]+)")
ESCAPED = re.compile(r'\\(["\\\]])')
STAMP = re.compile(
    r"(?:\*|\.)?(?:([A-Z][a-z]{2}) {1,2}([0-9]{1,2}) (?:([0-9]{4}) )?([0-9]{2}):([0-9]{2}):([0-9]{2})([.,][0-9]{1,9})?"
    r"|([0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}:[0-9]{2}[^\s:]*(?::[0-9]{2})?)):? +"
)
TAG = re.compile(r"([^\s:\[\]]{1,64})(?:\[([^\]]{0,128})\])?: ?")
"""The program, and its process within brackets."""
BOM = "\N{ZERO WIDTH NO-BREAK SPACE}"


def split(datagram: bytes) -> list[bytes]:
    """Return the messages of a datagram: further ones begin a line with a priority, all other lines belong to one."""
    return [one for part in SEVERAL.split(datagram) if (one := part.strip(b"\r\n\0"))]


def read(
    messages: Iterable[tuple[bytes | BadRecord, str]],
    *,
    now: float,
    zone: tzinfo = UTC,
    max_line: int = MAX_LINE_BYTES,
) -> LogBatch:
    """Return the lines of messages, each with the address that it came from.

    `now` (Unix seconds) tells the year, and `zone` the time zone, where a message names none. The address stands in for
    a host that a message does not name.
    """
    batch = LogBatch()
    for number, (message, peer) in enumerate(messages, 1):
        if isinstance(message, BadRecord):
            batch.rejected.append(BadRecord(number, message.reason, message.excerpt))
        elif len(message) > max_line + HEADER:
            reason = Reason("the message has more than %(most)d bytes", most=max_line + HEADER)
            batch.rejected.append(refused(number, reason, message))
        else:
            _add(batch, number, decoded(message), peer, now, zone)
    return sift(batch, max_line)


def _add(batch: LogBatch, number: int, message: str, peer: str, now: float, zone: tzinfo) -> None:
    about: dict[str, str] = {}
    level, at = "", 0
    if (priority := PRIORITY.match(message)) and (code := int(priority[1])) < 192:
        level, at = SYSLOG[code & 7], priority.end()
        about["facility"] = FACILITIES[code >> 3]
    if modern := MODERN.match(message, at):
        moment, service, text = _modern(message, modern, about)
    else:
        moment, service, text = _old(message, at, about, now, zone)
    if not about.get("host") and peer:
        about["host"] = peer
    try:
        attributes = msgspec.json.encode(about).decode()
    except UnicodeEncodeError:
        batch.rejected.append(refused(number, NO_UTF8, message))
        return
    batch.texts.append(text)
    batch.times.append(moment)
    batch.services.append(service)
    batch.levels.append(level)
    batch.attributes.append(attributes)


def _modern(message: str, header: re.Match[str], about: dict[str, str]) -> tuple[float | None, str, str]:
    """Return time, program and text of an RFC 5424 message; "-" is nothing."""
    stamp, host, service, process, kind, _ = header.groups()
    named = {"host": host, "pid": process, "msgid": kind}
    about.update({name: value for name, value in named.items() if value != "-"})
    at = header.end() - 1
    if message[at] == "-":
        at += 1
    else:
        at = _structured(message, at, about)
    return times.unix(stamp), "" if service == "-" else service, message[at:].removeprefix(" ").removeprefix(BOM)


def _structured(message: str, at: int, about: dict[str, str]) -> int:
    """Read `[id name="value" …]…`, and return where it ends: before what is none of it."""
    while element := ELEMENT.match(message, at):
        found: dict[str, str] = {}
        end = element.end()
        while parameter := PARAMETER.match(message, end):
            value = parameter[2]
            found[f"{element[1]}.{parameter[1]}"] = ESCAPED.sub(r"\1", value) if "\\" in value else value
            end = parameter.end()
        if message[end : end + 1] != "]":
            break
        about.update(found)
        at = end + 1
    return at


def _old(message: str, at: int, about: dict[str, str], now: float, zone: tzinfo) -> tuple[float | None, str, str]:
    """Return time, program and text of an RFC 3164 message, of which anything may be missing."""
    stamp = STAMP.match(message, at)
    if not stamp:
        # Without a time there is no host either, and "error: no space left" names no program: brackets do.
        tag = TAG.match(message, at)
        if not tag or tag[2] is None:
            return None, "", message[at:]
        about["pid"] = tag[2]
        return None, tag[1], message[tag.end() :]
    moment = _moment(stamp, now, zone)
    at = stamp.end()
    host, space, _ = message[at:].partition(" ")
    if space and not host.endswith(":"):
        about["host"] = host
        at += len(host) + 1
    tag = TAG.match(message, at)
    if not tag:
        return moment, "", message[at:]
    if tag[2]:
        about["pid"] = tag[2]
    return moment, tag[1], message[tag.end() :]


def _moment(stamp: re.Match[str], now: float, zone: tzinfo) -> float | None:
    month, day, year, hour, minute, second, fraction, iso = stamp.groups()
    if iso:
        try:
            moment = datetime.fromisoformat(iso)
        except ValueError:
            return None
        return times.kept((moment if moment.tzinfo else moment.replace(tzinfo=zone)).timestamp())
    if month not in MONTHS:
        return None
    today = datetime.fromtimestamp(now, zone)
    known = (int(year),) if year else range(today.year + 1, today.year - 5, -1)  # a leap day may be four years ago
    for one in known:
        midnight = _at(one, MONTHS.index(month) + 1, int(day), int(hour), int(minute), zone)
        if midnight is not None and (year or midnight <= now + AHEAD):
            return times.kept(midnight + int(second) + float("0" + fraction.replace(",", ".") if fraction else 0))
    return None


@lru_cache(maxsize=1024)
def _at(year: int, month: int, day: int, hour: int, minute: int, zone: tzinfo) -> float | None:
    try:
        return datetime(year, month, day, hour, minute, tzinfo=zone).timestamp()
    except (ValueError, OverflowError):
        return None
