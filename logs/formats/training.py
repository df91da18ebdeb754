"""The training format: `{"log_sequence": "line 1\\nline 2", "label": "正常" or "异常"}`, as an array or a line each."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, BinaryIO

from duolog.plugins.types import LogSequence, Reason, Record
from logs.engine.sanity import bad
from logs.formats import rows, seed
from logs.formats.rows import ObjectFormat

LABELS = {"正常": 0, "异常": 1, "normal": 0, "anomalous": 1}
WORDS = ("正常", "异常")


class Training(ObjectFormat):
    """Sequences as one text each; a log line that holds a line break comes back as two."""

    marks = (b'"log_sequence"',)

    def record(self, number: int, raw: bytes, fields: dict[str, Any], name: str) -> Record:
        """Return the sequence of a row; one without a sequence_id is named after its file and number."""
        return record(number, raw, fields, name, self.options.max_line)

    def write(self, sequences: Iterable[LogSequence], stream: BinaryIO) -> int:
        """Write the array, an element a line."""
        return seed.write_array(map(row, sequences), stream)


def record(number: int, raw: bytes, fields: dict[str, Any], name: str, max_line: int) -> Record:
    """Return the sequence of a row; `name` goes into its id where it has none."""
    text, label = fields.pop("log_sequence", None), fields.pop("label", None)
    if not isinstance(text, str):
        return bad(number, Reason("log_sequence is missing or no text"), raw)
    if isinstance(label, str):
        if label not in LABELS:
            reason = Reason("the label is %(label)s, not one of %(known)s", label=repr(label), known=", ".join(LABELS))
            return bad(number, reason, raw)
        label = LABELS[label]
    fields = {"sequence_id": f"{name}_{number:07d}"} | fields | {"label": label}
    return rows.sequence(number, fields, text.split("\n"), max_line)


def row(sequence: LogSequence) -> dict[str, Any]:
    """Return a sequence as this format writes it."""
    fields: dict[str, Any] = {"log_sequence": "\n".join(sequence.entries)} | rows.fields(sequence)
    if sequence.label is not None:
        fields["label"] = WORDS[sequence.label]
    return fields
