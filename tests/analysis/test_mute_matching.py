"""What a mute rule matches, and when what it hides is no longer what it was made for."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.engine.muting import CERTAIN, FACTOR, FEW, RISE, Conditions, Facts, Sums, holds, is_flood, is_worse

NAMES = st.sampled_from(["", "shop", "cart", "超时"])
NUMBERS = st.frozensets(st.integers(0, 5), max_size=3)
EXPRESSIONS = st.sampled_from(["", "fail", "^end$", "支付失败"])
RULES = st.builds(Conditions, NAMES, NAMES, st.none() | NUMBERS, EXPRESSIONS)
FACTS = st.builds(
    Facts, NAMES, NAMES, NUMBERS.map(sorted), st.lists(st.sampled_from(["it failed", "end", "支付失败 3", ""]))
)


@given(RULES, FACTS)
def test_all_that_a_rule_names_must_hold_and_nothing_else(rule: Conditions, facts: Facts) -> None:
    parts = [
        *([Conditions(service=rule.service)] if rule.service else []),
        *([Conditions(type=rule.type)] if rule.type else []),
        *([Conditions(templates=rule.templates)] if rule.templates is not None else []),
        *([Conditions(expression=rule.expression)] if rule.expression else []),
    ]
    assert holds(rule, facts) == (bool(parts) and all(holds(part, facts) for part in parts))


@given(RULES, FACTS, NAMES)
def test_naming_more_never_matches_more(rule: Conditions, facts: Facts, service: str) -> None:
    named = rule.service or rule.type or rule.templates is not None or rule.expression
    if named and not rule.service and not holds(rule, facts):
        assert not holds(replace(rule, service=service), facts)


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (Conditions(service="shop"), True),
        (Conditions(service="sho"), False),
        (Conditions(type="timeout"), True),
        (Conditions(templates=frozenset({8, 9})), True),
        (Conditions(templates=frozenset({9})), False),
        (Conditions(templates=frozenset()), False),
        (Conditions(expression=r"user=\d+$"), True),
        (Conditions(expression=r"^start.*user"), False),  # no expression reaches over the end of a line
        (Conditions(expression="(?i)DENIED"), True),
        (Conditions(service="shop", expression="nothing like it"), False),
        (Conditions(), False),
    ],
)
def test_one_by_one(rule: Conditions, expected: bool) -> None:
    assert holds(rule, Facts("shop", "timeout", (7, 8), ("start", "denied user=17"))) is expected


@given(st.integers(0, 10_000), st.integers(0, 10_000))
def test_a_flood_is_more_than_the_busiest_day_and_more_of_it_is_one_still(today: int, busiest: int) -> None:
    if is_flood(today, busiest):
        assert today > FACTOR * busiest
        assert is_flood(today + 1, busiest)
        assert not busiest or is_flood(today, busiest - 1)


@pytest.mark.parametrize(("busiest", "least"), [(0, 15), (10, 51), (1000, 1756)])
def test_how_many_a_flood_takes(busiest: int, least: int) -> None:
    assert not is_flood(least - 1, busiest)
    assert is_flood(least, busiest)


def sums(*values: float) -> Sums:
    return Sums(len(values), sum(values), sum(value**2 for value in values))


def test_scores_are_worse_if_they_rose_clearly() -> None:
    before, spread = sums(*[0.6] * 40), sums(*[0.55, 0.65] * 20)
    assert is_worse(sums(*[0.8] * FEW), before)
    assert not is_worse(sums(*[0.8] * (FEW - 1)), before)  # too few to say
    assert not is_worse(sums(*[0.6 + RISE / 2] * 500), before)  # certain, and small
    assert not is_worse(sums(*[0.5, 0.99] * 4), spread)  # large, and chance
    assert is_worse(sums(*[0.7, 0.9] * 20), spread)
    assert not is_worse(sums(*[0.3] * 100), spread)
    assert not is_worse(sums(*[0.9] * 100), Sums())
    assert CERTAIN > 3
