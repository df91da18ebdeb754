"""Stratified splitting as a pure function."""

from __future__ import annotations

import hashlib
import random
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, reject
from hypothesis import strategies as st

from duolog.plugins.types import LogSequence
from training.engine.split import Member, SplitError, content, split

PARTS = ("train", "validation", "test")


@st.composite
def cases(draw: st.DrawFn) -> tuple[list[Member], dict[str, int]]:
    counts = draw(
        st.dictionaries(st.tuples(st.sampled_from([0, 1]), st.sampled_from(["", "a", "b", "罕见"])), st.integers(1, 40))
    )
    members = [
        Member(f"s{label}{kind}{n}", label, kind) for (label, kind), count in counts.items() for n in range(count)
    ]
    total = len(members)
    train = draw(st.integers(0, total))
    validation = draw(st.integers(0, total - train))
    return members, {"train": train, "validation": validation, "test": total - train - validation}


@given(cases(), st.integers(0, 9))
def test_parts_have_their_sizes_and_share_nothing(case: tuple[list[Member], dict[str, int]], seed: int) -> None:
    members, sizes = case
    try:
        parts = split(members, sizes, seed)
    except SplitError:
        reject()
    assert {name: len(positions) for name, positions in parts.items()} == sizes
    chosen = [position for positions in parts.values() for position in positions]
    assert len(chosen) == len(set(chosen)) == sum(sizes.values())
    assert all(positions == sorted(positions) for positions in parts.values())
    share = sum(member.label for member in members) / len(members)
    for positions in parts.values():
        assert abs(sum(members[position].label for position in positions) - share * len(positions)) <= 2


@given(cases(), st.randoms(use_true_random=False))
def test_the_order_of_the_sequences_does_not_matter(
    case: tuple[list[Member], dict[str, int]], shuffler: random.Random
) -> None:
    members, sizes = case
    shuffled = list(members)
    shuffler.shuffle(shuffled)
    try:
        parts = split(members, sizes, 1)
    except SplitError as error:
        with pytest.raises(SplitError) as again:
            split(shuffled, sizes, 1)
        assert again.value.reason == error.reason
        return
    again = split(shuffled, sizes, 1)
    for name in PARTS:
        assert {members[n].key for n in parts[name]} == {shuffled[n].key for n in again[name]}


def test_types_are_spread_alike() -> None:
    kinds = ["timeout"] * 100 + ["database"] * 200 + ["permission"] * 50
    members = [Member(f"n{n}", 0) for n in range(650)] + [Member(f"a{n}", 1, kind) for n, kind in enumerate(kinds)]
    parts = split(members, {"train": 800, "validation": 100, "test": 100}, 7)
    for name, tenths in (("train", 8), ("validation", 1), ("test", 1)):
        found = Counter(members[position].type for position in parts[name])
        assert found[""] == 65 * tenths
        for kind, count in Counter(kinds).items():
            assert abs(found[kind] - count * tenths / 10) <= 2


def test_another_seed_is_another_split_and_a_seed_is_always_the_same() -> None:
    members = [Member(f"s{n}", n % 2) for n in range(100)]
    sizes = {"train": 80, "validation": 10, "test": 10}
    assert split(members, sizes, 1) != split(members, sizes, 2)
    # Written down, so that a change of the method, which would make old results incomparable, is seen.
    chosen = split(members, sizes, 1)["test"]
    found = hashlib.sha256("\0".join(members[position].key for position in chosen).encode()).hexdigest()
    assert found == "753fa3c71bc24afec52a943586885a5b1fff09e31988620ba8d6ed9da0e7dd84"


@pytest.mark.parametrize(
    ("labels", "sizes", "reason"),
    [
        ([0, 1] * 5, (9, 1, 1), "size"),
        ([0] * 10, (8, 1, 1), "missing"),
        ([1] * 10, (8, 1, 1), "missing"),
        ([], (0, 0, 0), "missing"),
        ([0] * 99 + [1], (80, 10, 10), "rare"),
        ([0, 1], (1, 1, 0), "rare"),
    ],
)
def test_what_cannot_be_divided_is_refused(labels: list[int], sizes: tuple[int, ...], reason: str) -> None:
    members = [Member(f"s{n}", label) for n, label in enumerate(labels)]
    with pytest.raises(SplitError) as refused:
        split(members, dict(zip(PARTS, sizes, strict=True)), 0)
    assert refused.value.reason == reason


def test_a_sequence_whose_label_is_sure_reads_as_it_always_did() -> None:
    """Divisions of older versions keep their SHA-256."""
    sure = LogSequence(
        "s1", ("INFO 开始", "ERROR x"), 1, "磁盘", (1.0, 2.5), {"pk": 7, "service": "shop", "root_cause": [1]}
    )
    assert content(sure).hex() == "3d72efbd1dd1bb9cde9cd4a9cf51a34b946c4d2eb456e6b70b18e8a483feda3e"
    assert content(replace(sure, confidence=0.9)) != content(sure) != content(replace(sure, confidence=0.8))
