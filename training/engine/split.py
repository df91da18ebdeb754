"""Stratified splitting: which sequences belong to which part, as a pure function of keys, labels and a seed."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass


class SplitError(ValueError):
    """The sequences cannot be divided as asked.

    `reason` is `size` (more are asked for than there are), `missing` (no member has a label) or `rare` (a part would
    be left without a label); `values` hold the numbers to tell a person.
    """

    def __init__(self, reason: str, *, label: int | None = None, **values: object) -> None:
        super().__init__(reason, label, values)
        self.reason = reason
        self.label = label
        self.values = values


@dataclass(frozen=True, slots=True)
class Member:
    """A labelled sequence as splitting sees it."""

    key: str
    label: int
    type: str = ""


def split(members: Sequence[Member], sizes: Mapping[str, int], seed: int) -> dict[str, list[int]]:
    """Return for each part of `sizes` the positions of its members, ascending.

    Each part gets exactly its size. Its share of each label is that of the whole, to within a sequence or two, and that
    of each type nearly so. The result depends on the set of members and the seed only, not on order or machine.

    This is systematic sampling: each stratum, shuffled, is spread evenly over [0, 1); a part is then one interval, and
    an interval holds of each stratum what its length asks for. Raises SplitError if there are too few members, only
    one label, or a part would be left without one of the labels.
    """
    asked = sum(sizes.values())
    if asked > len(members):
        raise SplitError("size", asked=asked, found=len(members))
    labels = Counter(member.label for member in members)
    for label in (0, 1):
        if not labels[label]:
            raise SplitError("missing", label=label)
    by_type: dict[tuple[int, str], list[int]] = defaultdict(list)
    for position, member in enumerate(members):
        by_type[member.label, member.type].append(position)
    by_label: dict[int, list[tuple[float, str, int]]] = defaultdict(list)
    for (label, type_), positions in by_type.items():
        phase = _number(seed, f"type {label} {type_}")  # else all rare types would miss the same part
        positions.sort(key=lambda position: _hash(seed, members[position].key))
        by_label[label] += [(place, type_, position) for place, position in _spread(positions, phase)]
    whole: list[tuple[float, int, int]] = []
    for label, ranked in by_label.items():
        whole += [(place, label, position) for place, position in _spread([row[2] for row in sorted(ranked)], 0.5)]
    order = [position for _, _, position in sorted(whole)]
    parts, start = {}, 0
    for name, size in sizes.items():
        parts[name] = sorted(order[start : start + size])
        start += size
        missing = labels.keys() - {members[position].label for position in parts[name]}
        if size and missing:
            label = min(missing)
            raise SplitError("rare", part=name, label=label, found=labels[label])
    return parts


def digest(keys: Iterable[str]) -> str:
    """Return the SHA-256 over keys in their given order; a NUL stands between them, which no key can hold."""
    return hashlib.sha256("\0".join(keys).encode()).hexdigest()


def _spread(positions: list[int], phase: float) -> list[tuple[float, int]]:
    return [((rank + phase) / len(positions), position) for rank, position in enumerate(positions)]


def _hash(seed: int, text: str) -> bytes:
    return hashlib.blake2b(f"{seed}\0{text}".encode(), digest_size=16).digest()


def _number(seed: int, text: str) -> float:
    return int.from_bytes(_hash(seed, text)[:6], "big") / (1 << 48)
