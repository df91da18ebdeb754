"""Opening log files: decompressed, in UTF-8, by the format that fits; a folder is read file by file."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import os
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

from django.conf import settings
from django.utils.translation import gettext

from duolog.plugins import guard, registry
from duolog.plugins.options import OptionsError
from duolog.plugins.points import Format
from duolog.plugins.types import BadRecord, Reason, Record
from logs.reasons import shown
from logs.streams import CHUNK, PACKED, TooLarge, UnknownFormat, Utf8

__all__ = ["GROUP", "Opened", "TooLarge", "UnknownFormat", "open_records"]

GROUP = "duolog.formats"
HEAD = 64 << 10
SURE = 0.5
SHARDS = (".parquet", ".arrow")
LABELS = "anomaly_label.csv"
NO_DATA = {"dataset_info.json", "dataset_dict.json", "state.json", LABELS}
PREVIEW_ROWS = 2000
DERIVED = re.compile(r"_(structured|templates)\w*\.csv$")
"""What a log parser made of the log beside it."""

guard.let_pass(OptionsError, TooLarge)  # both tell of the file, not of the format's plugin


class Source:
    """A file that a format reads as it is, with the face of `Utf8`."""

    broken, encoding, packed, cut = None, "", False, False

    def __init__(self, stream: io.BufferedReader) -> None:
        self._stream = stream

    def position(self) -> int:
        """Return how many bytes of the file were read."""
        return 0 if self._stream.closed else self._stream.tell()


@dataclass(slots=True)
class Opened:
    """Records that are about to be read; `size` and `position()` are bytes on disk (0: not known).

    Of a folder, `source` and `plugin` are those of the file at hand; `files` is how many there are.
    """

    format: str
    records: Iterator[Record]
    size: int
    source: Utf8 | Source
    plugin: Format
    files: int = 1
    behind: int = 0

    def position(self) -> int:
        """Return how much was read so far."""
        return self.behind + self.source.position() if self.size else 0


def open_records(
    path: str | Path,
    format: str = "auto",  # noqa: A002 - the word users know
    options: Mapping[str, Any] | None = None,
    limit: int = 0,
) -> Opened:
    """Open a file, a folder or standard input ("-"), and return its records, read as they are asked for.

    gzip is recognised by its content, other encodings become UTF-8. With `limit` only so many bytes of a text file are
    read. Raises OSError, UnknownFormat where `format` is "auto" and none is sure, OptionsError, PluginError.
    """
    if str(path) == "-" or not Path(path).is_dir():
        return _open(Path(path), Path(path).name, format, options or {}, limit)
    files = _data_files(Path(path))
    names = [file.relative_to(path).as_posix() for file in files]
    first = _open(files[0], names[0], format, options or {}, limit)
    opened = dataclasses.replace(first, size=sum(file.stat().st_size for file in files), files=len(files))

    def records() -> Iterator[Record]:
        part = first
        for number, (file, name) in enumerate(zip(files, names, strict=True)):
            if number:
                opened.behind += part.size
                part = _open(file, name, format, options or {}, limit)
                opened.source, opened.plugin = part.source, part.plugin
            for record in part.records:
                if isinstance(record, BadRecord):
                    record = dataclasses.replace(record, reason=_within(name, record.reason))
                yield record

    opened.records = records()
    return opened


def _within(file: str, reason: str) -> Reason:
    """Say in which file of a folder it happened."""
    known = reason if isinstance(reason, Reason) else Reason(reason.replace("%", "%%"))
    return Reason(known.message, **known.values, file=file)


def _data_files(folder: Path) -> list[Path]:
    """Return the files of a folder that hold data, in order; raise UnknownFormat where there are none."""
    known = {end for entry in registry.discover(GROUP) if not entry.error for end in _extensions(entry.name)}
    files = sorted(
        file
        for file in folder.rglob("*")
        if file.is_file()
        and file.name not in NO_DATA
        and not any(part.startswith((".", "_")) for part in file.relative_to(folder).parts)
        and file.name.removesuffix(".gz").endswith(tuple(known))
    )
    shards = [file for file in files if file.suffix in SHARDS]
    plain = {str(file).removesuffix(".gz") for file in files}
    found = shards or [file for file in files if not _is_derived(str(file).removesuffix(".gz"), plain)]
    if not found:
        text = gettext("there are no data in folder %(folder)s; files that end in %(known)s are read")
        raise UnknownFormat(text % {"folder": folder.name, "known": ", ".join(sorted(known))})
    return found


def _is_derived(name: str, names: set[str]) -> bool:
    return DERIVED.search(name) is not None and DERIVED.sub("", name) in names


def _extensions(name: str) -> tuple[str, ...]:
    try:
        return cast(type[Format], registry.get(GROUP, name)).extensions
    except registry.PluginError:
        return ()


def _open(path: Path, name: str, format: str, options: Mapping[str, Any], limit: int) -> Opened:  # noqa: A002
    """Open one file; `name` is what it is called in messages and in the ids of rows that have none."""
    piped = str(path) == "-"
    name = "stdin" if piped else name
    raw: Any = sys.stdin.buffer if piped else path.open("rb")  # the iterator closes it
    try:
        beginning = raw.peek(HEAD)[:HEAD]
        if packed := next((kind for magic, kind in PACKED.items() if beginning.startswith(magic)), None):
            text = gettext("%(file)s is a %(kind)s archive: unpack it first; gzip is read as it is")
            raise UnknownFormat(text % {"file": name, "kind": packed})
        if not beginning:
            raise UnknownFormat(_empty(name))
        size = 0 if piped else os.fstat(raw.fileno()).st_size
        chosen = _sniff(beginning, name, binary=True) if format == "auto" else [format]
        if chosen and _is_binary(chosen[0]):
            plugin = _create(chosen[0], options, path, limit)
            raw.raw.name = _row_name(name, beginning)
            return Opened(chosen[0], _records(plugin, raw, None), size, Source(raw), plugin)
        source = Utf8(raw, limit)
        stream: Any = io.BufferedReader(source, CHUNK)
        head = stream.peek(HEAD)[:HEAD]
        if not head:
            raise UnknownFormat(shown(_within(name, source.broken)) if source.broken else _empty(name))
        if head[257:262] == b"ustar":
            text = gettext("%(file)s is a %(kind)s archive: unpack it first; gzip is read as it is")
            raise UnknownFormat(text % {"file": name, "kind": "tar"})
        chosen = chosen or _sniff(head, name, binary=False)
        if not chosen:
            raise UnknownFormat(_unknown(head, name))
        plugin = _create(chosen[0], options, path, limit)
        source.name = _row_name(name, head)
    except BaseException:
        raw.close()
        raise
    return Opened(chosen[0], _records(plugin, stream, source), size, source, plugin)


def _empty(name: str) -> str:
    return gettext("%(file)s is empty") % {"file": name}


def _create(name: str, options: Mapping[str, Any], path: Path, limit: int) -> Format:
    known = {field.name for field in dataclasses.fields(registry.get(GROUP, name).Options)}
    # What only the host knows, for formats that want it.
    given: dict[str, Any] = {"max_line": settings.MAX_LINE_BYTES}
    if str(path) == "-":
        given["join"] = False  # the next line of a stream may be long in coming
    elif "labels" in known:
        beside = str(options.get("labels") or LABELS)
        if Path(beside).name != beside:
            raise OptionsError(gettext("labels is the name of a file in the same folder, without a path"))
        files = (path.parent / beside, path.parent / "preprocessed" / beside)
        given["labels"] = next((str(file) for file in files if file.is_file()), "")
        if not given["labels"] and options.get("labels"):
            raise OptionsError(gettext("there is no file %(file)s beside the log") % {"file": beside})
        options = {name: value for name, value in options.items() if name != "labels"}
    if limit and _is_binary(name):
        given["rows"] = PREVIEW_ROWS
    return cast(Format, registry.create(GROUP, name, {**{n: v for n, v in given.items() if n in known}, **options}))


def _row_name(name: str, head: bytes) -> str:
    """Name rows without an id: equal for equal files, so that importing twice doubles nothing."""
    stem = re.sub(r"(\.(gz|json|jsonl|ndjson|csv|tsv|log|txt|parquet|arrow))+$", "", name.replace("/", "-"))[:150]
    return f"{stem or 'file'}-{hashlib.blake2b(head, digest_size=4).hexdigest()}"


def _is_binary(name: str) -> bool:
    return bool(cast(type[Format], registry.get(GROUP, name)).binary)


def _sniff(head: bytes, name: str, *, binary: bool) -> list[str]:
    """Return the format that fits best, none, or several that fit as well."""
    sure: dict[str, float] = {}
    for entry in registry.discover(GROUP):
        try:
            cls = registry.get(GROUP, entry.name) if entry.status in ("found", "ready") else None
            if cls is not None and cast(type[Format], cls).binary == binary:
                sure[entry.name] = guard.call(cls(), "sniff", head, name)
        except registry.PluginError:
            continue  # it does not read this file; the plugin page tells why
    best = max(sure.values(), default=0.0)
    found = sorted(each for each, share in sure.items() if share == best and share >= SURE)
    if len(found) > 1:
        text = gettext("%(file)s: more than one format fits; choose one of %(names)s")
        raise UnknownFormat(text % {"file": name, "names": ", ".join(found)})
    return found


def _unknown(head: bytes, name: str) -> str:
    names = sorted(entry.name for entry in registry.discover(GROUP) if not entry.error)
    text = gettext("%(file)s: no format fits; choose one of %(names)s. The file begins with %(seen)s")
    return text % {"file": name, "names": ", ".join(names), "seen": repr(head[:80].decode("utf-8", "replace"))}


def _records(plugin: Format, stream: BinaryIO, source: Utf8 | None) -> Iterator[Record]:
    """Yield the records; where the data break off, the last record says so."""
    # Only a bad record is held back until the next one comes: what a stream has told so far is for the taking.
    torn: BadRecord | None = None
    count = 0
    with stream:
        for record in guard.call(plugin, "read", stream):
            count += 1
            if torn:
                yield torn
            torn = record if isinstance(record, BadRecord) else None
            if torn is None:
                yield record
        if source and source.cut:
            return  # what the cut tore is not the file's fault
        if source and source.broken:
            torn = BadRecord(torn.row if torn else count + 1, source.broken, torn.excerpt if torn else "")
        if torn:
            yield torn
