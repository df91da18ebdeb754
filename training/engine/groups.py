"""Splitting by group: members that belong together (one template sequence, one source) stay in one part."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from hashlib import blake2b
from math import fsum

Stratum = tuple[int, str | None]
"""A label and a type, or a label with all its types (None)."""


def divide(
    groups: Sequence[bytes], strata: Sequence[tuple[int, str]], sizes: Mapping[str, int], seed: int
) -> dict[str, list[int]]:
    """Return for each part of `sizes` the positions of its members, ascending; no group lies in two parts.

    `groups` and `strata` (label, type) hold one entry a member. Sizes and shares of labels and types are met as nearly
    as whole groups allow: largest group first, each goes to the part where the squared distance to what is wanted,
    relative to it, grows least (after Sechidis et al., On the Stratification of Multi-Label Data, 2011). As long as
    there are groups for it, every part gets some of each label. What nobody asked for goes to a part that is dropped.
    """
    members: dict[bytes, list[int]] = defaultdict(list)
    for position, group in enumerate(groups):
        members[group].append(position)
    whole = _count(range(len(strata)), strata)
    spare = len(groups) - sum(sizes.values())
    asked = {name: size for name, size in sizes.items() if size} | ({"": spare} if spare else {})
    parts = {name: _Part(size / len(groups), whole) for name, size in asked.items()}
    contents = {group: _count(positions, strata) for group, positions in members.items()}
    left = Counter(label for content in contents.values() for label, kind in content if kind is None)
    chosen: dict[str, list[int]] = {name: [] for name in [*sizes, ""]}
    for group in sorted(members, key=lambda group: (-len(members[group]), _hash(seed, group))):
        content = contents[group]
        offered = _needy(parts, content, left) or list(parts)
        name = min(offered, key=lambda name: parts[name].cost(content))
        parts[name].add(content)
        chosen[name] += members[group]
        left.subtract(label for label, kind in content if kind is None)
    return {name: sorted(chosen[name]) for name in sizes}


def joined(groups: Sequence[bytes], incidents: Sequence[str]) -> list[bytes]:
    """Return the group of each member where groups that share an incident (not "") are one, named by the least."""
    above: dict[bytes, bytes] = {}

    def top(group: bytes) -> bytes:
        while (higher := above.get(group, group)) != group:
            above[group] = group = above.get(higher, higher)  # halves the way for the next who goes it
        return group

    first: dict[str, bytes] = {}
    for group, incident in zip(groups, incidents, strict=True):
        if incident:
            least, other = sorted((top(group), top(first.setdefault(incident, group))))
            above[other] = least
    return [top(group) for group in groups]


class _Part:
    """How many of each stratum a part wants, and how many it has."""

    def __init__(self, share: float, whole: Mapping[Stratum, int]) -> None:
        self.want = {stratum: share * count for stratum, count in whole.items()}
        self.have = dict.fromkeys(whole, 0)

    def cost(self, content: Mapping[Stratum, int]) -> float:
        """Return by how much the distance grows: ((have + n - want)² - (have - want)²) / want, summed."""
        return fsum(  # the same whatever the order, or a tie would fall by how the members were sorted
            count * (2 * (self.have[stratum] - self.want[stratum]) + count) / self.want[stratum]
            for stratum, count in content.items()
        )

    def add(self, content: Mapping[Stratum, int]) -> None:
        for stratum, count in content.items():
            self.have[stratum] += count


def _needy(parts: Mapping[str, _Part], content: Mapping[Stratum, int], left: Mapping[int, int]) -> list[str]:
    """Return the parts that would stay without a label of this group if it went elsewhere."""
    for label in sorted(label for label, kind in content if kind is None):
        without = [name for name, part in parts.items() if name and not part.have[label, None]]
        if without and left[label] <= len(without):
            return without
    return []


def _count(positions: Iterable[int], strata: Sequence[tuple[int, str]]) -> dict[Stratum, int]:
    content: dict[Stratum, int] = defaultdict(int)
    for position in positions:
        label, kind = strata[position]
        content[label, kind] += 1
        content[label, None] += 1
    return dict(content)


def _hash(seed: int, group: bytes) -> bytes:
    return blake2b(b"%d\0%b" % (seed, group), digest_size=16).digest()
