"""Records of no fixed schema, as JSON shippers send them, to the columns of a batch.

Which fields hold the message, the time, the service and the level is looked up once for each set of field names: the
records of a source have the same few.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from duolog.plugins.types import LogBatch, Reason, Refused
from logs.engine import times
from logs.engine.levels import level as level_of
from logs.engine.sanity import MAX_LINE_BYTES, NO_UTF8, refused, sift

MAX_RECORDS = 1_000_000
"""Of one request: 64 MiB of `{},{},…` would be 2 GiB of objects."""
DEPTH = 16
"""Deeper than this a value is kept as JSON text."""
PLANS = 1000
EMPTY = Reason("there is neither a message nor any other field in it")
NO_OBJECT = Reason("not a JSON object")

ALIASES = {
    **dict.fromkeys(["trace.id", "traceId", "traceID", "traceid", "TraceId"], "trace_id"),
    **dict.fromkeys(["span.id", "spanId", "spanID", "spanid", "SpanId"], "span_id"),
    **dict.fromkeys(["host.name", "hostname", "HOSTNAME"], "host"),
}
"""Attributes that go by many names, and the one they are stored under."""

OWN = "record."
"""Stands before a line's attribute whose name one of `Shared` has already."""
encode = msgspec.json.encode
encode_lines = msgspec.json.Encoder().encode_lines


@dataclass(frozen=True)
class Names:
    """Where to look for what, the likeliest first; nested names are joined by dots.

    `service` names are tried one by one; with `join` the values of all of them make the service, joined by slashes.
    """

    message: tuple[str, ...] = ("message", "msg", "log", "body", "_msg", "short_message", "MESSAGE", "text", "event")
    time: tuple[str, ...] = ("@timestamp", "_time", "timestamp", "time", "ts", "date", "datetime", "asctime")
    service: tuple[str, ...] = (
        "service.name", "service", "service_name", "app", "application", "app_name", "kubernetes.labels.app",
        "kubernetes.container_name", "kubernetes.container.name", "container.name", "container_name", "logger", "tag",
        "SYSLOG_IDENTIFIER",
    )  # fmt: skip
    level: tuple[str, ...] = (
        "level", "severity", "log.level", "levelname", "loglevel", "log_level", "lvl", "severity_text", "PRIORITY",
    )  # fmt: skip
    join: bool = False
    ignore: frozenset[str] = frozenset()


DEFAULT = Names()


@dataclass(frozen=True, slots=True)
class _Plan:
    message: str | None
    time: str | None
    level: str | None
    service: str | None
    services: tuple[str, ...]
    """All of them together, where `service` is None."""
    renamed: tuple[tuple[str, str], ...]
    ignored: tuple[str, ...]


@dataclass
class Lines:
    """A batch that grows record by record; records are numbered from 1 in the order of `add` and `refuse`."""

    names: Names = DEFAULT
    batch: LogBatch = field(default_factory=LogBatch)
    _plans: dict[tuple[str, ...], _Plan] = field(default_factory=dict)
    _unread: list[tuple[int, str]] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.batch.texts) + len(self.batch.rejected)

    def add(self, record: dict[str, Any], at: object = None, service: str = "") -> None:
        """Take a record apart (it is used up); `at` and `service` are what its envelope says, where it says nothing."""
        if record.__class__ is not dict:
            return self.refuse(NO_OBJECT, _shown(record))
        try:
            self._add(record, at, service)
        except UnicodeEncodeError:
            self.refuse(NO_UTF8, _shown(record))
        except (ValueError, TypeError, RecursionError) as error:
            self.refuse(Reason("a value cannot be read: %(error)s", error=str(error)), _shown(record))
        return None

    def add_all(self, records: Sequence[Any]) -> None:
        """Take many records, as `add` would take each: those of one shape, the usual case, column by column."""
        if not self._add_columns(records):
            for record in records:
                self.add(record)

    def _add_columns(self, records: Sequence[Any]) -> bool:
        """Take records that have the same names and, but for the time, texts only; tell whether these are such."""
        if set(map(type, records)) != {dict} or len(shapes := set(map(tuple, records))) > 1:
            return False
        shape = shapes.pop()
        plan = self._plans.get(shape) or self._learn(shape)
        columns = dict(zip(shape, zip(*map(dict.values, records), strict=True), strict=True))
        stamps = columns.pop(plan.time) if plan.time else ()
        moments = times.unix_all(stamps) if plan.time else [None] * len(records)
        texts = columns.pop(plan.message, None) if plan.message else None
        if texts is None or plan.services or (plan.time and None in moments):
            return False
        if any(set(map(type, column)) != STRINGS for column in (texts, *columns.values())):
            return False
        for name in plan.ignored:
            del columns[name]
        said = columns.pop(plan.level) if plan.level else None
        known = {level: level_of(level) for level in set(said or ())}
        levels = [""] * len(records) if said is None else [known[level] for level in said]
        if said is not None and "" in levels:
            return False
        services = list(columns.pop(plan.service)) if plan.service else [""] * len(records)
        for old, new in plan.renamed:
            columns[new] = columns.pop(old)
        attributes = [""] * len(records)
        if columns:
            try:
                rows = encode_lines(
                    [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
                )
            except UnicodeEncodeError:
                return False
            attributes = rows.decode()[:-1].split("\n")
        self.batch.texts += [text.rstrip("\r\n") if text[-1:] == "\n" else text for text in texts]
        self.batch.times += moments
        self.batch.services += services
        self.batch.levels += levels
        self.batch.attributes += attributes
        return True

    def _add(self, record: dict[str, Any], at: object, service: str) -> None:
        batch = self.batch
        kinds = set(map(type, record.values()))  # one pass in C, and most records are flat
        if not NESTED.isdisjoint(kinds):
            record = self._flat(record)
        plan = self._plans.get(shape := tuple(record)) or self._learn(shape)
        for name in plan.ignored:
            del record[name]
        text = record.pop(plan.message) if plan.message else None
        raw = record.pop(plan.time) if plan.time else at
        moment = times.unix(raw)
        unread = moment is None and raw is not None and raw != ""
        if unread:
            # Other forms are read all at once at the end; whatever comes of it, what was said is kept.
            record[plan.time or "time"] = raw
        name = ""
        if plan.level:
            name = level_of(said := record.pop(plan.level))
            if not name:
                record[plan.level] = said
        if plan.service:
            service = plain(record.pop(plan.service)) or service
        elif plan.services:
            service = "/".join([plain(record.pop(one)) for one in plan.services])
        for old, new in plan.renamed:
            record[new] = record.pop(old)
        if kinds != STRINGS or unread:
            record = {key: value if value.__class__ is str else plain(value) for key, value in record.items()}
        attributes = encode(record).decode() if record else ""
        if text is None:
            if not record:
                return self.refuse(EMPTY, "{}")
            text = attributes
        elif text.__class__ is not str:
            text = plain(text)
        elif text[-1:] == "\n":
            text = text.rstrip("\r\n")
        if unread:
            self._unread.append((len(batch.texts), str(raw)))
        batch.texts.append(text)
        batch.times.append(moment)
        batch.services.append(service)
        batch.levels.append(name)
        batch.attributes.append(attributes)
        return None

    def _flat(self, record: dict[str, Any]) -> dict[str, Any]:
        """Return a record with nested names joined by dots and nulls left out; a structured message becomes text."""
        flat: dict[str, Any] = {}
        structured = ""
        for name in self.names.message:
            value = record.get(name)
            if value is not None:
                if value.__class__ is not dict and value.__class__ is not list:
                    break
                structured = structured or name
        else:
            if structured:
                flat[structured] = plain(record.pop(structured))
        flatten(record, flat)
        return flat

    def _learn(self, shape: tuple[str, ...]) -> _Plan:
        """Return where the parts of records with these names are, and remember it."""
        if len(self._plans) >= PLANS:  # names that hold values, such as ids: never the same twice
            self._plans.clear()
        left = dict.fromkeys(shape)
        ignored = tuple(name for name in shape if name in self.names.ignore)
        for name in ignored:
            del left[name]

        def take(names: Iterable[str]) -> str | None:
            found = next((name for name in names if name in left), None)
            left.pop(found or "", None)
            return found

        message, time, level = (take(names) for names in (self.names.message, self.names.time, self.names.level))
        services = tuple(name for name in self.names.service if name in left and self.names.join)
        service = None if self.names.join else take(self.names.service)
        renamed: dict[str, str] = {}
        for old in left:
            new = ALIASES.get(old, old)
            if old not in services and new not in left and new not in renamed.values():
                renamed[old] = new
        plan = _Plan(message, time, level, service, services, tuple(renamed.items()), ignored)
        self._plans[shape] = plan
        return plan

    def refuse(self, reason: str, excerpt: str | bytes) -> None:
        """Count a record that makes no sense."""
        self.batch.rejected.append(refused(len(self) + 1, reason, excerpt))

    def finish(self, max_line: int = MAX_LINE_BYTES) -> LogBatch:
        """Return the batch, with nothing in it that may not be stored."""
        if self._unread:
            for (line, _), moment in zip(self._unread, times.parse([text for _, text in self._unread]), strict=True):
                self.batch.times[line] = None if moment is None else times.kept(moment)
        return sift(self.batch, max_line)


NESTED = frozenset({dict, list, type(None)})
STRINGS = frozenset({str})


def flatten(record: Mapping[Any, Any], into: dict[str, Any], prefix: str = "", depth: int = DEPTH) -> None:
    """Put the values of a record and of those within it `into` one, under their full names; nulls are left out."""
    for key, value in record.items():
        if value is None:
            continue
        name = prefix + key if key.__class__ is str else f"{prefix}{key}"
        if value.__class__ is dict and depth:
            flatten(value, into, name + ".", depth - 1)
            continue
        while name in into:  # `a.b` beside a `b` within `a`
            name += "_"
        into[name] = value


def plain(value: Any) -> str:
    """Return a value as text: JSON's own for what is no string, compact JSON for what is structured."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            return value.hex()
    return str(value) if isinstance(value, int | float) else encode(value).decode()


class Shared:
    """Attributes that many lines have in common, as the beginning of their JSON."""

    def __init__(self, attributes: dict[str, str]) -> None:
        self.names = frozenset(attributes)
        self.alone = encode(attributes).decode() if attributes else ""
        self._begin = f"{self.alone[:-1]}," if attributes else "{"

    def join(self, members: list[str]) -> str:
        """Return the JSON of a line's attributes: those in common, and its own, written by `member`."""
        # A null is written as nothing.
        more = ",".join(members) if "" not in members else ",".join(filter(None, members))
        return f"{self._begin}{more}}}" if more else self.alone


def member(name: str, value: str) -> str:
    """Return one attribute as a part of a JSON object."""
    return f"{encode(name).decode()}:{encode(value).decode()}"


def _shown(record: Any) -> str:
    return record if isinstance(record, str) else repr(record)


def refuse_many(count: int) -> None:
    """Raise Refused (413) if one request has more records than are taken at once."""
    if count > MAX_RECORDS:
        raise Refused(413, Reason("the request has more than %(most)d records; send smaller batches", most=MAX_RECORDS))
