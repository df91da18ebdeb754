"""Splitting: which sequences belong to which part, as a pure function of the sequences and a seed."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from duolog.plugins.types import LogSequence
from training.engine import groups

encode = msgspec.json.Encoder(order="deterministic").encode


class SplitError(ValueError):
    """The sequences cannot be divided as asked.

    `reason` is `size` (more are asked for than there are), `missing` (no member has a label), `rare` (a part would be
    left without a label), `untimed` or `sourceless` (members lack what the strategy goes by) or `groups` (there are
    fewer groups than parts); `values` hold the numbers to tell a person.
    """

    def __init__(self, reason: str, *, label: int | None = None, **values: object) -> None:
        super().__init__(reason, label, values)
        self.reason = reason
        self.label = label
        self.values = values


@dataclass(frozen=True, slots=True)
class Member:
    """A labelled sequence as splitting sees it: `at` is its first line's time, `template` its fingerprint.

    Members that share an `incident`, told twice in two languages, say, are one thing to learn: no part may hold what
    another one knows, so whatever the strategy is, they stay together.
    """

    key: str
    label: int
    type: str = ""
    at: float | None = None
    template: bytes = b""
    source: str = ""
    incident: str = ""


def split(
    members: Sequence[Member], sizes: Mapping[str, int], seed: int, strategy: str = "random"
) -> dict[str, list[int]]:
    """Return for each part of `sizes` the positions of its members, ascending.

    A strategy of `STRATEGIES` chooses them. The result depends on the set of members and the seed only, not on order
    or machine. Raises SplitError if there are too few members, only one label, or a part would be left without one of
    the labels, or if members lack what the strategy goes by.
    """
    asked = sum(sizes.values())
    if asked > len(members):
        raise SplitError("size", asked=asked, found=len(members))
    labels = Counter(member.label for member in members)
    for label in (0, 1):
        if not labels[label]:
            raise SplitError("missing", label=label)
    parts = STRATEGIES[strategy](members, sizes, seed)
    for name, positions in parts.items():
        missing = labels.keys() - {members[position].label for position in positions}
        if sizes[name] and missing:
            label = min(missing)
            raise SplitError("rare", part=name, label=label, found=labels[label])
    return parts


def randomly(members: Sequence[Member], sizes: Mapping[str, int], seed: int) -> dict[str, list[int]]:
    """Draw at random: each part gets exactly its size, as far as incidents allow (`_cut`).

    Its share of each label is that of the whole, to within a sequence or two, and that of each type nearly so. This is
    systematic sampling: each stratum, shuffled, is spread evenly over [0, 1); a part is then one interval, and an
    interval holds of each stratum what its length asks for.
    """
    by_type: dict[tuple[int, str], list[list[int]]] = defaultdict(list)
    for unit in _units(members):
        first = members[unit[0]]
        by_type[first.label, first.type].append(unit)
    by_label: dict[int, list[tuple[float, str, list[int]]]] = defaultdict(list)
    for (label, type_), units in by_type.items():
        phase = _number(seed, f"type {label} {type_}")  # else all rare types would miss the same part
        units.sort(key=lambda unit: _hash(seed, members[unit[0]].key))
        by_label[label] += [(place, type_, unit) for place, unit in _spread(units, phase)]
    whole: list[tuple[float, int, list[int]]] = []
    for label, ranked in by_label.items():
        whole += [(place, label, unit) for place, unit in _spread([row[2] for row in sorted(ranked)], 0.5)]
    return _cut([unit for _, _, unit in sorted(whole)], sizes)


def by_time(members: Sequence[Member], sizes: Mapping[str, int], seed: int) -> dict[str, list[int]]:
    """Put the oldest into the first part and the newest into the last, each exactly its size but for incidents.

    Where fewer are asked for than there are, the oldest of all are left out: what a model will meet is most like the
    newest. Among members of one moment the key decides; the seed changes nothing.
    """
    untimed = sum(member.at is None for member in members)
    if untimed:
        raise SplitError("untimed", found=untimed)
    units = sorted(_units(members), key=lambda unit: min((members[one].at or 0, members[one].key) for one in unit))
    parts = _cut(units, {"": len(members) - sum(sizes.values()), **sizes})
    del parts[""]
    return parts


def by_template(members: Sequence[Member], sizes: Mapping[str, int], seed: int) -> dict[str, list[int]]:
    """Keep members of one template sequence together, so that no part holds what another one does."""
    return _grouped([member.template for member in members], members, sizes, seed)


def by_source(members: Sequence[Member], sizes: Mapping[str, int], seed: int) -> dict[str, list[int]]:
    """Hold out whole sources: how well is a system judged that training never saw?"""
    sourceless = sum(not member.source for member in members)
    if sourceless:
        raise SplitError("sourceless", found=sourceless)
    return _grouped([member.source.encode() for member in members], members, sizes, seed)


Strategy = Callable[[Sequence[Member], Mapping[str, int], int], dict[str, list[int]]]
STRATEGIES: dict[str, Strategy] = {
    "random": randomly,
    "chronological": by_time,
    "template": by_template,
    "source": by_source,
}


def content(sequence: LogSequence) -> bytes:
    """Return the SHA-256 of all that training reads of a sequence; its primary key here says nothing elsewhere."""
    meta = {name: value for name, value in sequence.meta.items() if name != "pk"}
    said = (sequence.id, sequence.label, sequence.type, sequence.entries, sequence.times, meta)
    # A label that is sure reads as one of a time when none had a confidence: digests of old divisions stay right.
    doubt = (sequence.confidence,) if sequence.confidence != 1 else ()
    return hashlib.sha256(encode(said + doubt)).digest()


def digest(contents: Iterable[bytes]) -> str:
    """Return the SHA-256 over the `content` of a part's sequences, in the order in which they are stored."""
    whole = hashlib.sha256()
    for each in contents:
        whole.update(each)
    return whole.hexdigest()


def _grouped(
    names: Sequence[bytes], members: Sequence[Member], sizes: Mapping[str, int], seed: int
) -> dict[str, list[int]]:
    names = groups.joined(names, [member.incident for member in members])
    found, wanted = len(set(names)), sum(size > 0 for size in sizes.values())
    if found < wanted:
        raise SplitError("groups", found=found, parts=wanted)
    return groups.divide(names, [(member.label, member.type) for member in members], sizes, seed)


def _units(members: Sequence[Member]) -> Iterable[list[int]]:
    """Return the positions of each incident's members, by their keys, and of each other member alone."""
    units: dict[str | int, list[int]] = defaultdict(list)
    for position, member in enumerate(members):
        units[member.incident or position].append(position)
    for unit in units.values():
        unit.sort(key=lambda position: members[position].key)
    return units.values()


def _cut(units: Sequence[list[int]], sizes: Mapping[str, int]) -> dict[str, list[int]]:
    """Fill one part after the other; what begins in one ends in it, and the next part is smaller by that."""
    waiting, parts, taken, end = iter(units), {}, 0, 0
    for name, size in sizes.items():
        end += size
        part: list[int] = []
        while taken + len(part) < end:
            part += next(waiting)
        parts[name] = sorted(part)
        taken += len(part)
    return parts


def _spread(units: list[list[int]], phase: float) -> list[tuple[float, list[int]]]:
    return [((rank + phase) / len(units), unit) for rank, unit in enumerate(units)]


def _hash(seed: int, text: str) -> bytes:
    return hashlib.blake2b(f"{seed}\0{text}".encode(), digest_size=16).digest()


def _number(seed: int, text: str) -> float:
    return int.from_bytes(_hash(seed, text)[:6], "big") / (1 << 48)
