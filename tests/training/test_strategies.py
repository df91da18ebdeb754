"""What each strategy of splitting promises, as a pure function."""

from __future__ import annotations

import itertools
import random
from collections import Counter, defaultdict
from dataclasses import replace

import pytest
from hypothesis import given, reject
from hypothesis import strategies as st

from training.engine.split import STRATEGIES, Member, SplitError, split

PARTS = ("train", "validation", "test")
strategies = pytest.mark.parametrize("strategy", list(STRATEGIES))


@st.composite
def cases(draw: st.DrawFn) -> tuple[list[Member], dict[str, int]]:
    rows = draw(
        st.lists(
            st.tuples(
                st.integers(0, 1),
                st.sampled_from(["", "超时异常"]),
                st.integers(0, 30),
                st.integers(0, 20),
                st.sampled_from("abcdef"),
            ),
            min_size=6,
            max_size=60,
        )
    )
    members = [
        Member(f"s{n}", label, kind, float(at), bytes([template]), source)
        for n, (label, kind, at, template, source) in enumerate(rows)
    ]
    train = draw(st.integers(1, len(members)))
    validation = draw(st.integers(0, len(members) - train))
    test = draw(st.integers(0, len(members) - train - validation))
    return members, {"train": train, "validation": validation, "test": test}


def parts_of(members: list[Member], sizes: dict[str, int], seed: int, strategy: str) -> dict[str, list[Member]]:
    try:
        chosen = split(members, sizes, seed, strategy)
    except SplitError:
        reject()
    return {name: [members[position] for position in positions] for name, positions in chosen.items()}


@strategies
@given(case=cases(), seed=st.integers(0, 3))
def test_no_member_stands_in_two_parts(case: tuple[list[Member], dict[str, int]], seed: int, strategy: str) -> None:
    members, sizes = case
    parts = parts_of(members, sizes, seed, strategy)
    chosen = [member.key for part in parts.values() for member in part]
    assert len(chosen) == len(set(chosen))
    if sum(sizes.values()) == len(members):
        assert len(chosen) == len(members)
    assert all(bool(part) == bool(sizes[name]) for name, part in parts.items())


@strategies
@given(case=cases(), seed=st.integers(0, 3), shuffler=st.randoms(use_true_random=False))
def test_the_same_members_and_seed_give_the_same_parts(
    case: tuple[list[Member], dict[str, int]], seed: int, shuffler: random.Random, strategy: str
) -> None:
    members, sizes = case
    parts = parts_of(members, sizes, seed, strategy)
    shuffled = list(members)
    shuffler.shuffle(shuffled)
    again = parts_of(shuffled, sizes, seed, strategy)
    assert {name: {member.key for member in part} for name, part in parts.items()} == {
        name: {member.key for member in part} for name, part in again.items()
    }


@pytest.mark.parametrize("strategy", ["template", "source"])
@given(case=cases(), seed=st.integers(0, 3))
def test_no_group_stands_in_two_parts(case: tuple[list[Member], dict[str, int]], seed: int, strategy: str) -> None:
    members, sizes = case
    where = defaultdict(set)
    for name, part in parts_of(members, sizes, seed, strategy).items():
        for member in part:
            where[getattr(member, strategy)].add(name)
    assert all(len(names) == 1 for names in where.values())


@given(case=cases())
def test_train_is_older_than_validation_and_that_than_test(case: tuple[list[Member], dict[str, int]]) -> None:
    members, sizes = case
    parts = parts_of(members, sizes, 0, "chronological")
    assert {name: len(part) for name, part in parts.items()} == sizes
    times = [[member.at or 0 for member in parts[name]] for name in PARTS if parts[name]]
    assert all(max(before) <= min(after) for before, after in itertools.pairwise(times))
    left_out = {member.key for member in members} - {member.key for part in parts.values() for member in part}
    assert all(member.at <= min(times[0]) for member in members if member.key in left_out)


@strategies
@given(case=cases(), told=st.lists(st.integers(0, 12), min_size=60, max_size=60), seed=st.integers(0, 3))
def test_no_incident_stands_in_two_parts(
    case: tuple[list[Member], dict[str, int]], told: list[int], seed: int, strategy: str
) -> None:
    members, sizes = case
    members = [replace(one, incident=f"i{at}" if at else "") for one, at in zip(members, told, strict=False)]
    where = defaultdict(set)
    for name, part in parts_of(members, sizes, seed, strategy).items():
        for member in part:
            where[member.incident].add(name)
    assert all(len(names) == 1 for incident, names in where.items() if incident)


@pytest.mark.parametrize("strategy", ["random", "chronological"])
def test_pairs_cost_a_part_one_member_at_most(strategy: str) -> None:
    members = [
        Member(f"p{n}-{language}", n % 2, f"异常{n % 23}" * (n % 2), float(n), incident=f"p{n}")
        for n in range(500)
        for language in ("zh", "en")
    ] + [Member(f"s{n}", n % 2, at=n + 0.5) for n in range(77)]
    sizes = {"train": 861, "validation": 108, "test": 108}
    for seed in range(5):
        for name, positions in split(members, sizes, seed, strategy).items():
            assert abs(len(positions) - sizes[name]) <= 1
            if strategy == "random":
                assert abs(sum(members[position].label for position in positions) - sizes[name] / 2) <= 3


def test_groups_come_as_near_to_the_sizes_and_the_labels_as_they_can() -> None:
    rng = random.Random(5)
    sizes = [400, 90, *(rng.randint(1, 12) for _ in range(300))]
    members = [
        Member(f"g{group}-{n}", int(rng.random() < 0.2), template=b"%d" % group)
        for group, size in enumerate(sizes)
        for n in range(size)
    ]
    total = len(members)
    wanted = {"train": total - 2 * (total // 10), "validation": total // 10, "test": total // 10}
    parts = split(members, wanted, 1, "template")
    share = sum(member.label for member in members) / total
    for name, positions in parts.items():
        assert abs(len(positions) - wanted[name]) <= 3
        assert abs(sum(members[position].label for position in positions) - share * wanted[name]) <= 3
    assert parts != split(members, wanted, 2, "template")


def test_few_sources_are_enough_if_there_is_one_a_part() -> None:
    members = [Member(f"{source}{n}", n % 2, source=source) for source in "abcde" for n in range(200)]
    parts = split(members, {"train": 800, "validation": 100, "test": 100}, 0, "source")
    assert Counter(len(positions) for positions in parts.values()) == {600: 1, 200: 2}


TWO = [Member(f"s{n}", n % 2, at=1.0, template=b"%d" % n, source=str(n % 2)) for n in range(20)]


@pytest.mark.parametrize(
    ("members", "strategy", "reason"),
    [
        ([*TWO, Member("x", 0)], "chronological", "untimed"),
        ([*TWO, Member("x", 0)], "source", "sourceless"),
        (TWO, "source", "groups"),
        ([Member(f"s{n}", n % 2, template=bytes([n % 2])) for n in range(20)], "template", "groups"),
        ([Member(f"s{n}", n % 2, template=bytes([n % 4])) for n in range(20)], "template", "rare"),
        ([Member(f"s{n}", int(n > 15), at=float(n)) for n in range(20)], "chronological", "rare"),
    ],
)
def test_what_a_strategy_cannot_divide_is_refused(members: list[Member], strategy: str, reason: str) -> None:
    with pytest.raises(SplitError) as refused:
        split(members, {"train": 12, "validation": 4, "test": 4}, 0, strategy)
    assert refused.value.reason == reason
