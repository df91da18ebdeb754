"""Log entries of several lines: a stack trace belongs to the line that it explains, and stays one entry with it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

# How a line of Java's, Python's, Go's and .NET's traces begins, besides with a space.
TRACE = re.compile(
    r"\s|at [\w.$<>/]+\(|Caused by: |Suppressed: |\.\.\. \d+ |Traceback \(most recent call last\)|goroutine \d+ \["
    r"|During handling of the above exception|The above exception was the direct cause"
    r"|(?:Exception in thread .*|(?:[a-z_]\w*\.)+[A-Z][\w$]*(?:Exception|Error|Throwable)\b)"
)
RAISED = re.compile(r"[A-Za-z_][\w.]*(?:: |$)")
"""The last line of a Python traceback: the exception's name, and what it says."""
STAMP = re.compile(
    r"\d{4}[-/.]\d{2}[-/.]\d{2}|\d{2}/\w{3}/\d{4}:\d|\d{1,2} [A-Z][a-z]{2} \d{4} \d|[A-Z][a-z]{2} [ \d]\d \d{2}:"
    r"|\b\d{2}:\d{2}:\d{2}\b|^\d{6} \d{6} |^\d{2}/\d{2}/\d{2} \d|^\[?\d{10,13}\b"
)
"""The time that a line begins with, in any of the usual ways."""
STAMP_CHARACTERS = 48
ENTRY_CHARACTERS = 1 << 18


def is_stamped(line: str) -> bool:
    """Tell whether a line begins with a time."""
    return STAMP.search(line[:STAMP_CHARACTERS]) is not None


def begins_with_times(sample: Iterable[str]) -> bool:
    """Tell whether a file's entries begin with a time: its first line does, and half of those that are no trace."""
    stamps = [(is_stamped(line), line) for line in sample]
    starts = [stamped for stamped, line in stamps if stamped or not TRACE.match(line)]
    return bool(starts) and starts[0] and sum(starts) * 2 >= len(starts)


def joined(lines: Iterable[str], stamped: bool, limit: int = ENTRY_CHARACTERS) -> Iterator[str]:
    """Yield entries: each line with those that continue it, a line break between them.

    A line continues the one before it if it looks like part of a trace or, where entries are `stamped`, has no time.
    An entry grows to `limit` characters: a file that looks like one long trace is none.
    """
    parts: list[str] = []
    size, python = 0, False
    for line in lines:
        timed = is_stamped(line)
        indented = line[:1].isspace()
        if not parts or size + len(line) > limit:
            more = False
        elif timed:
            # Some write their times indented: only in a file without times is that a trace.
            more = indented and not stamped and bool(TRACE.match(line))
        else:
            more = stamped or bool(TRACE.match(line)) or (python and not indented and bool(RAISED.match(line)))
        # A Python traceback ends with a line that is not indented.
        python = line.startswith("Traceback (") or (python and indented)
        if more:
            parts.append(line)
            size += len(line)
            continue
        if parts:
            yield "\n".join(parts) if len(parts) > 1 else parts[0]
        parts, size = [line], len(line)
    if parts:
        yield "\n".join(parts)
