"""Tables of any kind to sequences: which column holds what, and what its values mean."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from itertools import islice
from typing import Any

import msgspec
from django.utils.translation import gettext

from duolog.plugins.options import OptionsError
from duolog.plugins.types import BadRecord, Reason, Record
from logs.engine import times
from logs.engine.grouping import Line
from logs.engine.sanity import NO_UTF8, NUL, bad
from logs.formats import rows
from logs.formats.lines import CutOptions, cut, finder

BATCH = 1000
NONE = "-"
# The usual names, the surest first. The first four describe rows that are sequences, the others rows that are lines.
NAMES = {
    "lines": ("log_entries", "log_sequence", "entries", "lines", "logs", "events", "日志序列"),
    "id": ("sequence_id", "seq_id", "id", "序列编号"),
    "label": ("label", "is_anomaly", "anomaly", "标签"),
    "type": ("anomaly_type", "type", "异常类型"),
    "line": ("content", "message", "msg", "log", "line", "text", "raw", "日志", "日志内容", "内容", "消息"),
    "session": ("session", "session_id", "trace_id", "traceid", "block_id", "blockid", "sequence_id", "会话"),
    "time": ("timestamp", "@timestamp", "time", "datetime", "date", "ts", "时间"),
}
WORDS = {
    "0": 0,
    "normal": 0,
    "正常": 0,
    "false": 0,
    "1": 1,
    "anomalous": 1,
    "anomaly": 1,
    "abnormal": 1,
    "异常": 1,
    "true": 1,
}


@dataclass(frozen=True)
class ColumnOptions(CutOptions):
    """Which column holds what; empty: found by its name, "-": there is none.

    A row is a sequence with all its `lines` (a list, or text with line breaks), or one `line` of a `session`, or one of
    a window where there are no sessions. `line` and `time` may name several columns, with commas: their texts are put
    together. `pattern` finds the session within its column. `anomalous` or `normal`: the labels, with commas, that mean
    it; all others mean the opposite. `rows`: read no more than so many.
    """

    id: str = ""
    label: str = ""
    type: str = ""
    lines: str = ""
    line: str = ""
    session: str = ""
    pattern: str = ""
    time: str = ""
    anomalous: str = ""
    normal: str = ""
    rows: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.lines not in ("", NONE) and self.line not in ("", NONE):
            raise ValueError(gettext("a row is a sequence (lines) or a line (line), not both"))
        finder(self.pattern, "pattern")


def knows(header: Iterable[str]) -> bool:
    """Tell whether log lines can be found by these names."""
    return not {name.strip().lower() for name in header}.isdisjoint((*NAMES["lines"], *NAMES["line"]))


class Columns:
    """The columns of one table; `found` says which option means which column.

    Raises OptionsError for a column that is named and not there. A table may have no column of log lines: see `fault`.
    """

    def __init__(self, header: Sequence[str], options: ColumnOptions) -> None:
        self._options = options
        self._header = header
        by_line = options.lines == NONE or options.line not in ("", NONE)
        self.lines = "" if by_line else self._one("lines")
        self.line = [] if self.lines else self._several("line")
        self.label = self._one("label")
        # A line's type may mean anything: only its sequence's is taken for what it says.
        self.type = self._one("type") if self.lines or options.type or NAMES["type"][0] in header else ""
        self.id = self._one("id") if self.lines else ""
        self.session = self._one("session") if self.line else ""
        self.time = self._several("time") if self.line else []
        self.anomalous, self.normal = (
            {word.strip() for word in words.split(",") if word.strip()} for words in (options.anomalous, options.normal)
        )
        found = {
            "lines": self.lines,
            "line": ",".join(self.line),
            "id": self.id,
            "session": self.session,
            "time": ",".join(self.time),
        }
        self.found = {
            name: column for name, column in (found | {"label": self.label, "type": self.type}).items() if column
        }

    @property
    def fault(self) -> Reason | None:
        """Say that no log lines are found, or nothing."""
        if self.lines or self.line:
            return None
        return Reason(
            "no column with log lines was found; name it with line= or lines=. The columns are %(names)s",
            names=", ".join(self._header)[:1000],
        )

    def _one(self, role: str) -> str:
        return next(iter(self._several(role, whole=True)), "")

    def _several(self, role: str, whole: bool = False) -> list[str]:
        asked: str = getattr(self._options, role)
        if asked == NONE:
            return []
        if asked:
            names = [asked] if whole or asked in self._header else [name.strip() for name in asked.split(",")]
            for name in names:
                if name not in self._header:
                    text = gettext("there is no column %(name)s for %(role)s; the columns are %(names)s")
                    raise OptionsError(text % {"name": repr(name), "role": role, "names": ", ".join(self._header)})
            return names
        lower = {name.strip().lower(): name for name in reversed(self._header)}
        return (
            [next((lower[name] for name in NAMES[role] if name in lower), "")]
            if lower.keys() & set(NAMES[role])
            else []
        )

    def read_label(self, value: Any) -> int | None:
        """Return 0, 1 or None (nobody said); raise ValueError with a Reason for a word that says neither."""
        word = (
            ("1" if value else "0") if isinstance(value, bool | float) else str("" if value is None else value).strip()
        )
        if not word:
            return None
        if self.anomalous or self.normal:
            if word in self.anomalous:
                return 1
            if word in self.normal:
                return 0
            return int(not self.anomalous)
        if word.lower() not in WORDS:
            reason = Reason(
                "the label is %(label)s, not one of %(known)s; anomalous= tells which labels mean it",
                label=repr(word[:80]),
                known=", ".join(WORDS),
            )
            raise ValueError(reason)
        return WORDS[word.lower()]


def records(
    found: Iterable[tuple[int, dict[str, Any]] | BadRecord], columns: Columns, options: ColumnOptions, name: str
) -> Iterator[Record]:
    """Yield the sequences of rows (number, column to value); a row without an id is named after `name` and number."""
    if columns.fault:
        yield bad(1, columns.fault, "")
        return
    found = islice(found, options.rows) if options.rows else found
    if columns.lines:
        for row in found:
            yield row if isinstance(row, BadRecord) else _sequence(*row, columns, options, name)
        return
    refused: list[BadRecord] = []
    lines = _lines(found, columns, options, refused)
    yield from cut(lines, options, name, refused, sessions=bool(columns.session))


def _sequence(number: int, values: dict[str, Any], columns: Columns, options: ColumnOptions, name: str) -> Record:
    fields = {key: value for key, value in values.items() if value is not None and value != ""}
    try:
        entries = _entries(fields.pop(columns.lines, None), strict=columns.lines == "log_entries")
        label = columns.read_label(fields.pop(columns.label, None))
        for column in ("times", "meta"):
            if isinstance(fields.get(column), str):
                fields[column] = _json(column, fields[column])
    except ValueError as error:
        return bad(number, error.args[0], ",".join(map(str, values.values())))
    kind, key = fields.pop(columns.type, None), fields.pop(columns.id, None)
    if isinstance(length := fields.get("length"), str) and length.isdecimal():
        fields["length"] = int(length)
    if isinstance(meta := fields.get("meta"), dict):
        del fields["meta"]
        fields = meta | fields
    fields["sequence_id"], fields["label"] = f"{name}_{number:07d}" if key is None else key, label
    if kind is not None:
        fields["anomaly_type"] = str(kind)
    return rows.sequence(number, fields, entries, options.max_line)


def _entries(value: Any, strict: bool) -> Any:
    if not isinstance(value, str):
        return value
    if value.lstrip().startswith("["):
        try:
            return _json("log_entries", value)
        except ValueError:
            if strict:
                raise
    return value.split("\n")


def _json(column: str, value: str) -> Any:
    try:
        return msgspec.json.decode(value)
    except (msgspec.DecodeError, UnicodeError) as error:
        raise ValueError(Reason("%(column)s is not valid JSON: %(error)s", column=column, error=str(error))) from error


def _lines(
    found: Iterable[tuple[int, dict[str, Any]] | BadRecord],
    columns: Columns,
    options: ColumnOptions,
    refused: list[BadRecord],
) -> Iterator[Line]:
    """Yield lines with their times, read many at a time; what is no line is `refused`."""
    find = finder(options.pattern, "pattern") if options.pattern else None
    strays, first, text = 0, 0, ""
    batch: list[Line] = []
    moments: list[Any] = []
    for row in found:
        if isinstance(row, BadRecord):
            refused.append(row)
            continue
        number, values = row
        entry = _text(values, columns.line)
        try:
            label = columns.read_label(values.get(columns.label))
            entry.encode()
        except ValueError as error:
            refused.append(bad(number, NO_UTF8 if isinstance(error, UnicodeError) else error.args[0], entry))
            continue
        if not entry or "\0" in entry:
            refused.append(bad(number, NUL if entry else Reason("there is no log line"), entry))
            continue
        kind = str(values.get(columns.type) or "") or (str(values[columns.label]) if label and columns.normal else None)
        session = str(values.get(columns.session) or "")
        keys: Iterable[str | None] = [session or None] if columns.session else [None]
        if find:
            keys = dict.fromkeys(find(session)) or [None]
        for key in keys:
            if columns.session and key is None:
                strays, first, text = strays + 1, first or number, text or entry
                continue
            batch.append(Line(entry, key, None, label, kind if label else None))
            moments.append(_moment(values, columns.time))
        if len(batch) >= BATCH:
            yield from _timed(batch, moments)
            batch, moments = [], []
    yield from _timed(batch, moments)
    if strays:
        reason = Reason("%(count)d rows belong to no session; this is the first", count=strays)
        refused.append(bad(first, reason, text))


def _text(values: Mapping[str, Any], names: Sequence[str]) -> str:
    if len(names) == 1:
        return str(values.get(names[0]) or "")
    return " ".join(str(values[name]) for name in names if values.get(name) not in (None, ""))


def _moment(values: Mapping[str, Any], names: Sequence[str]) -> Any:
    """Return Unix seconds, or a text that `times.parse` may understand."""
    value = values.get(names[0]) if len(names) == 1 else _text(values, names)
    if isinstance(value, datetime):
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp()
    if isinstance(value, date):
        return value.isoformat()
    try:
        number = float(value) if value else None
    except (TypeError, ValueError):
        return str(value)
    # Seconds, or milli-, micro- or nanoseconds as computers count them.
    while number is not None and number > 1e11:
        number /= 1000
    return number


def _timed(batch: list[Line], moments: list[Any]) -> Iterator[Line]:
    texts = [moment for moment in moments if isinstance(moment, str)]
    parsed = iter(times.parse(texts) if texts else [])
    for line, moment in zip(batch, moments, strict=True):
        time = next(parsed) if isinstance(moment, str) else moment
        yield line if time is None else line._replace(time=time)
