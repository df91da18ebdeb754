"""A division that takes new members in: each earlier member stays where it was, and what says the same stays together.

A verdict on a flood labels hundreds of sequences that are line for line alike. Were they dealt out one by one, the test
part would ask for what training knows by heart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from training.engine import groups
from training.engine.split import Member, SplitError, by_time

SHARES = {"train": 7, "validation": 1, "test": 2}
"""Of a first division by verdicts: they are few, and a tenth of few is too little to measure on."""
ORDER = ("train", "test", "validation")
"""Where a group goes that stands in several parts already: training knows it, so it is no test any more."""


def extend(
    members: Sequence[Member], placed: Sequence[str], shares: Mapping[str, int], seed: int, strategy: str
) -> dict[str, list[int]]:
    """Return the positions of each part's members, ascending; `placed` says where members are already ("": new).

    Members of one template sequence, one incident, or under the strategy `source` of one source are a group. New ones
    go where their group is; groups that are new are dealt out whole, the parts growing by `shares`: under the strategy
    `chronological` by time, under others so that labels and types are alike. Raises SplitError where a label is
    missing, and as the strategy does.
    """
    for label in (0, 1):
        if all(member.label != label for member in members):
            raise SplitError("missing", label=label)
    names = groups.joined(
        [member.source.encode() if strategy == "source" else member.template for member in members],
        [member.incident for member in members],
    )
    known: dict[bytes, str] = {}
    for part in ORDER:
        for name, place in zip(names, placed, strict=True):
            if place == part:
                known.setdefault(name, part)
    where = [place or known.get(name, "") for name, place in zip(names, placed, strict=True)]
    fresh = [position for position, part in enumerate(where) if not part]
    dealt = _deal([members[one] for one in fresh], [names[one] for one in fresh], shares, seed, strategy)
    for part, positions in dealt.items():
        for position in positions:
            where[fresh[position]] = part
    return {part: [one for one, place in enumerate(where) if place == part] for part in shares}


def sizes(count: int, shares: Mapping[str, int]) -> dict[str, int]:
    """Return how many of `count` each part gets, by largest remainder; of equal ones the earlier in ORDER."""
    whole = sum(shares.values())
    found = {name: count * share // whole for name, share in shares.items()}
    remainders = sorted(shares, key=lambda name: (-(count * shares[name] % whole), ORDER.index(name)))
    for name in remainders[: count - sum(found.values())]:
        found[name] += 1
    return found


def _deal(
    members: Sequence[Member], names: Sequence[bytes], shares: Mapping[str, int], seed: int, strategy: str
) -> dict[str, list[int]]:
    if not members:
        return {}
    asked = sizes(len(members), shares)
    if strategy == "chronological":
        together = [replace(member, incident=name.hex()) for member, name in zip(members, names, strict=True)]
        return by_time(together, asked, seed)
    return groups.divide(names, [(member.label, member.type) for member in members], asked, seed)
