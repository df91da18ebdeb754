"""Parquet and Arrow, as HuggingFace `datasets` keeps them: the columns are mapped as those of a CSV."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime
from decimal import Decimal
from itertools import islice
from typing import Any, BinaryIO

import msgspec
import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet
from django.utils.translation import gettext

from duolog.plugins.options import OptionsError
from duolog.plugins.points import Format
from duolog.plugins.types import BadRecord, LogSequence, Reason, Record
from logs.engine.sanity import bad
from logs.formats import rows
from logs.formats.columns import ColumnOptions, Columns, records

PARQUET, ARROW, STREAM = b"PAR1", b"ARROW1", b"\xff\xff\xff\xff"
BATCH = 1000
GROUP_BYTES = 2 << 30
"""A row group that unpacks to more is refused: the pages of one column are held while it is read."""
SCHEMA = pa.schema(
    {
        "sequence_id": pa.string(),
        "label": pa.int8(),
        "anomaly_type": pa.string(),
        "log_entries": pa.list_(pa.string()),
        "times": pa.list_(pa.float64()),
        "meta": pa.string(),
    }
)


class Parquet(Format):
    """Tables in columns, read in batches; of a folder, the shards follow each other."""

    Options = ColumnOptions
    extensions = (".parquet", ".arrow")
    binary = True

    def sniff(self, head: bytes, name: str) -> float:
        """Sure by the first bytes; an Arrow stream has none of its own, so its name must say it, too."""
        if head.startswith((PARQUET, ARROW)):
            return 0.99
        return 0.99 if head.startswith(STREAM) and name.endswith(".arrow") else 0.0

    def read(self, stream: BinaryIO) -> Iterator[Record]:
        """Yield sequences; raise OptionsError where the columns are not those that the options name."""
        number = 0
        try:
            schema, batches = _open(stream)
        except OptionsError:
            raise
        except (pa.ArrowException, OSError, ValueError) as error:
            yield bad(1, Reason("it is no Parquet or Arrow, or it is damaged: %(error)s", error=str(error)), "")
            return
        columns = Columns(schema.names, self.options)
        self.understood = columns.found
        classes = _classes(schema).get(columns.label, [])

        def found() -> Iterator[tuple[int, dict[str, Any]] | BadRecord]:
            nonlocal number
            try:
                for batch in batches:
                    for row in batch.to_pylist():
                        number += 1
                        yield number, _plain(row, columns.label, classes)
            except (pa.ArrowException, OSError, ValueError) as error:
                yield bad(number + 1, Reason("the file breaks off: %(error)s", error=str(error)), "")

        yield from records(found(), columns, self.options, rows.name_of(stream))

    def write(self, sequences: Iterable[LogSequence], stream: BinaryIO) -> int:
        """Write Parquet with the columns that `datasets` would need; further fields are JSON in `meta`."""
        count = 0
        with pa.parquet.ParquetWriter(stream, SCHEMA, compression="zstd") as writer:
            iterator = iter(sequences)
            while batch := list(map(_row, islice(iterator, BATCH))):
                writer.write_batch(pa.RecordBatch.from_pylist(batch, SCHEMA))
                count += len(batch)
        return count


def _open(stream: BinaryIO) -> tuple[pa.Schema, Iterable[pa.RecordBatch]]:
    magic = stream.read(len(ARROW))
    stream.seek(0)
    if magic.startswith(PARQUET):
        file = pa.parquet.ParquetFile(stream, pre_buffer=False, buffer_size=1 << 20)
        groups = (file.metadata.row_group(each).total_byte_size for each in range(file.metadata.num_row_groups))
        if (largest := max(groups, default=0)) > GROUP_BYTES:
            text = gettext("a row group unpacks to %(bytes)d bytes; write the file with smaller ones (row_group_size)")
            raise OptionsError(text % {"bytes": largest})
        return file.schema_arrow, file.iter_batches(BATCH)
    if magic == ARROW:
        reader = pa.ipc.open_file(stream)
        return reader.schema, (reader.get_batch(each) for each in range(reader.num_record_batches))
    flow = pa.ipc.open_stream(stream)
    return flow.schema, flow


def _classes(schema: pa.Schema) -> dict[str, list[str]]:
    """Return the names of the classes that `datasets` stores as numbers, by column."""
    try:
        info = msgspec.json.decode((schema.metadata or {}).get(b"huggingface", b"{}"))
        features = info["info"]["features"]
        return {name: one["names"] for name, one in features.items() if one.get("_type") == "ClassLabel"}
    except (msgspec.DecodeError, KeyError, TypeError, AttributeError):
        return {}


def _plain(row: dict[str, Any], label: str, classes: list[str]) -> dict[str, Any]:
    if classes and isinstance(at := row.get(label), int) and 0 <= at < len(classes):
        row[label] = classes[at]
    return {name: _json_ready(value) for name, value in row.items()}


def _json_ready(value: Any) -> Any:
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.decode("utf-8", "surrogateescape")
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, Mapping):
        return {str(key): _json_ready(item) for key, item in value.items()}
    return [_json_ready(item) for item in value] if isinstance(value, list) else value


def _row(one: LogSequence) -> dict[str, Any]:
    return {
        "sequence_id": one.id,
        "label": one.label,
        "anomaly_type": one.type,
        "log_entries": list(one.entries),
        "times": list(one.times) or None,
        "meta": msgspec.json.encode(one.meta).decode() if one.meta else None,
    }
