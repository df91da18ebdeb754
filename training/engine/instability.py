"""Unstable logs: what becomes of a verdict when lines are worded otherwise, lost, doubled or out of order.

After LogRobust (Zhang et al., ESEC/FSE 2019, "Robust log-based anomaly detection on unstable log data"). As there, a
sequence keeps its label, although losing the one telling line makes an anomaly invisible: the curve has a floor of its
own, and is to be compared with that of another detector, not with 1.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from duolog.plugins.types import LogSequence

LEVELS = (0.05, 0.1, 0.2, 0.3)
"""Shares of the lines that are disturbed."""
KINDS = ("edited", "dropped", "duplicated", "swapped", "reworded")
"""`reworded` takes the line of the sequence's twin: the same incident, told in another language."""
WORD = re.compile(r"[一-鿿]+|[A-Za-z]{2,}(?![\w=:])")


def disturb(sequence: LogSequence, kind: str, share: float, seed: int, twin: LogSequence | None = None) -> LogSequence:
    """Return the sequence with about `share` of its lines disturbed; each line is chosen by itself.

    Lines chosen at a lower share are chosen at a higher one, too, and no sequence loses its last line. `reworded` needs
    a `twin` with as many lines.
    """
    chosen = _random(seed, sequence.id).random(len(sequence.entries)) < share
    entries, order = list(sequence.entries), np.arange(len(sequence.entries))
    if kind == "edited":
        entries = [edit(line) if one else line for line, one in zip(entries, chosen, strict=True)]
    elif kind == "reworded":
        assert twin is not None  # noqa: S101 - the caller has looked
        pairs = zip(entries, twin.entries, chosen, strict=True)
        entries = [other if one else line for line, other, one in pairs]
    elif kind == "dropped":
        order = order[~chosen] if not chosen.all() else order[:1]
    elif kind == "duplicated":
        order = np.repeat(order, 1 + chosen)
    else:
        order = _swapped(order, chosen)
    times = tuple(sequence.times[at] for at in order) if sequence.times else ()
    return replace(sequence, entries=tuple(entries[at] for at in order), times=times)


def edit(line: str) -> str:
    """Return the line as a developer might have changed it: one word is left out, repeated, or put behind the next one.

    The words decide which, so all lines of one statement change alike; numbers and names of fields stay. A line of less
    than two words stays as it is.
    """
    words = list(WORD.finditer(line))
    if len(words) < 2:
        return line
    dice = int.from_bytes(blake2b("\0".join(word[0] for word in words).encode(), digest_size=4).digest())
    at = dice // 3 % (len(words) - 1)
    first, second = words[at], words[at + 1]
    head, between, tail = line[: first.start()], line[first.end() : second.start()], line[second.end() :]
    if dice % 3 == 0:
        return head + between.lstrip() + second[0] + tail
    if dice % 3 == 1:
        return f"{head}{first[0]} {first[0]}{between}{second[0]}{tail}"
    return head + second[0] + between + first[0] + tail


def twins(sequences: Iterable[LogSequence]) -> dict[str, LogSequence]:
    """Return for each sequence, by its id, another of the same incident with as many lines."""
    told: dict[tuple[str, int], list[LogSequence]] = defaultdict(list)
    for sequence in sequences:
        if incident := sequence.meta.get("incident"):
            told[str(incident), len(sequence.entries)].append(sequence)
    pairs = [members for members in told.values() if len(members) > 1]
    return {one.id: members[position - 1] for members in pairs for position, one in enumerate(members)}


def _swapped(order: NDArray[np.int64], chosen: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the order in which each chosen line has changed places with the one after it."""
    for at in np.flatnonzero(chosen[:-1]):
        order[[at, at + 1]] = order[[at + 1, at]]
    return order


def _random(seed: int, key: str) -> np.random.Generator:
    return np.random.default_rng([seed, int.from_bytes(blake2b(key.encode(), digest_size=8).digest())])
