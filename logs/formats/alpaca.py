"""The form that Unsloth and Alpaca learn from: `{"instruction", "input", "output"}`, as an array or a line each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, BinaryIO

from duolog.plugins.types import LogSequence, Reason, Record
from logs.engine.sanity import bad
from logs.formats import instruction, rows, seed
from logs.formats.rows import ObjectFormat

COLUMNS = ("instruction", "input", "output")


class Alpaca(ObjectFormat):
    """One question a sequence; the input numbers its lines.

    Only lines and label come back, and the type where the answer states it; ids are those of file and row, and question
    and answer are kept as further fields.
    """

    marks = (b'"instruction"', b'"output"')

    def record(self, number: int, raw: bytes, fields: dict[str, Any], name: str) -> Record:
        """Return the sequence of a question."""
        if not all(isinstance(fields.get(column), str) for column in COLUMNS):
            return bad(number, Reason("instruction, input or output is missing or no text"), raw)
        return record(number, fields, f"{name}_{number:07d}", self.options.max_line)

    def write(self, sequences: Iterable[LogSequence], stream: BinaryIO) -> int:
        """Write the array, an element a line; raise OptionsError at a sequence without a label."""
        return seed.write_array(map(row, sequences), stream)


def record(number: int, fields: Mapping[str, Any], key: str, max_line: int) -> Record:
    """Return the sequence of a question; `fields` are COLUMNS, and what else there is."""
    label, kind = instruction.stated(fields["output"])
    meta = {name: value for name, value in fields.items() if name != "input"}
    known = {"sequence_id": key, "label": label} | ({"anomaly_type": kind} if kind else {})
    return rows.sequence(number, meta | known, instruction.entries(fields["input"]), max_line)


def row(sequence: LogSequence) -> dict[str, str]:
    """Return a sequence as this format writes it."""
    asked = instruction.example(sequence)
    return {"instruction": asked.instruction, "input": asked.input, "output": asked.output}
