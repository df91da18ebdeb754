"""The form that chat templates take: `{"messages": [system, user, assistant]}`, a line each."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, BinaryIO

import msgspec

from duolog.plugins.types import LogSequence, Reason, Record
from logs.engine.sanity import bad
from logs.formats import alpaca, instruction
from logs.formats.rows import ObjectFormat

ROLES = (["system", "user", "assistant"], ["user", "assistant"])
FIRST = re.compile(r"^1: ", re.MULTILINE)


class Chat(ObjectFormat):
    """One question a sequence, its numbered lines below it.

    Only lines and label come back, and the type where the answer states it, as with `alpaca`.
    """

    extensions = (".jsonl", ".json")
    marks = (b'"messages"', b'"role"')

    def record(self, number: int, raw: bytes, fields: dict[str, Any], name: str) -> Record:
        """Return the sequence of one question and its answer."""
        said = _said(fields.pop("messages", None))
        if not said:
            reason = Reason("the messages are not one of a user and one of an assistant, with text")
            return bad(number, reason, raw)
        return alpaca.record(number, fields | _question(*said), f"{name}_{number:07d}", self.options.max_line)

    def write(self, sequences: Iterable[LogSequence], stream: BinaryIO) -> int:
        """Write a line a sequence; raise OptionsError at one without a label."""
        count = 0
        for count, sequence in enumerate(sequences, 1):
            stream.write(msgspec.json.encode(row(sequence)) + b"\n")
        return count


def row(sequence: LogSequence) -> dict[str, Any]:
    """Return a sequence as this format writes it."""
    asked = instruction.example(sequence)
    said = (instruction.SYSTEM[asked.language], f"{asked.instruction}\n{asked.input}", asked.output)
    return {"messages": [{"role": role, "content": text} for role, text in zip(ROLES[0], said, strict=True)]}


def _said(messages: Any) -> tuple[str, str] | None:
    """Return what user and assistant say."""
    if not isinstance(messages, list) or not all(isinstance(one, dict) for one in messages):
        return None
    texts = [one.get("content") for one in messages]
    if [one.get("role") for one in messages] not in ROLES or not all(isinstance(text, str) for text in texts):
        return None
    return texts[-2], texts[-1]


def _question(user: str, answer: str) -> dict[str, str]:
    """Tell the question from the lines: they are numbered, or else follow a first line that ends with a colon."""
    first = FIRST.search(user)
    head, _, rest = user.partition("\n")
    start = first.start() if first else len(head) + 1 if rest and head.rstrip().endswith((":", "：")) else 0
    return {"instruction": user[:start].rstrip("\n"), "input": user[start:], "output": answer}
