"""A division that goes on: who was there stays, what says the same stays together, and nobody is lost."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.engine.extension import ORDER, SHARES, extend, sizes
from training.engine.split import STRATEGIES, Member, SplitError

MEMBERS = st.lists(
    st.tuples(
        st.builds(
            Member,
            key=st.text("abc", min_size=6, max_size=6),
            label=st.integers(0, 1),
            type=st.sampled_from(["", "t", "u"]),
            at=st.integers(0, 50).map(float),
            template=st.integers(0, 12).map(lambda n: b"%d" % n),
            source=st.sampled_from(["web", "shop", "mail", "pay"]),
            incident=st.sampled_from(["", "", "i", "j"]),
        ),
        st.sampled_from(["", "", *ORDER]),
    ),
    min_size=2,
    max_size=60,
).filter(lambda rows: len({member.label for member, _ in rows}) == 2)


@settings(deadline=None)
@given(MEMBERS, st.sampled_from(list(STRATEGIES)), st.integers(0, 3))
def test_members_stay_where_they_were_and_new_groups_lie_in_one_part(
    rows: list[tuple[Member, str]], strategy: str, seed: int
) -> None:
    members, placed = [member for member, _ in rows], [part for _, part in rows]
    found = extend(members, placed, SHARES, seed, strategy)
    where = {position: part for part, positions in found.items() for position in positions}
    assert sorted(where) == list(range(len(members))) and sum(map(len, found.values())) == len(members)
    assert all(where[position] == part for position, part in enumerate(placed) if part)
    for name in ("source",) if strategy == "source" else ("template",):
        for group in {getattr(member, name) for member in members}:
            mine = [position for position, member in enumerate(members) if getattr(member, name) == group]
            known = {placed[position] for position in mine} - {""}
            new = {where[position] for position in mine if not placed[position]}
            assert len(new) <= 1
            if known and new and not any(members[position].incident for position in mine):
                assert new == {next(part for part in ORDER if part in known)}


@given(st.integers(0, 100), st.permutations(list(SHARES)))
def test_every_new_member_gets_a_part_and_the_first_ones_teach(count: int, names: list[str]) -> None:
    found = sizes(count, {name: SHARES[name] for name in names})
    assert sum(found.values()) == count
    assert all(abs(found[name] - count * SHARES[name] / 10) < 1 for name in names)
    assert found["train"] or not count


def test_by_time_the_newest_are_tested() -> None:
    members = [Member(f"k{n}", n % 2, at=float(n), template=b"%d" % n) for n in range(20)]
    found = extend(members, [""] * 20, SHARES, 0, "chronological")
    assert (found["train"], found["test"]) == (list(range(14)), list(range(16, 20)))


def test_without_one_of_the_labels_there_is_nothing_to_learn() -> None:
    with pytest.raises(SplitError) as caught:
        extend([Member("a", 1), Member("b", 1)], ["", ""], SHARES, 0, "template")
    assert (caught.value.reason, caught.value.label) == ("missing", 0)
