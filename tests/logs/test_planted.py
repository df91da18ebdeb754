"""Recall and precision are those of the labelled set: what is missed, what is wrongly touched, and what is kept."""

from __future__ import annotations

import pytest

from logs.engine.planted import Line, decoys, planted
from logs.engine.planted_measure import labelled, measure
from logs.engine.redaction import DEFAULTS, Redactor, Rule, Strategy


def test_the_set_is_large_reproducible_and_holds_its_secrets() -> None:
    secrets, harmless = labelled()
    assert len(secrets) >= 2000 and len(harmless) >= 2000
    assert all(line.secret and line.secret in line.text for line in secrets)
    assert (tuple(planted()), tuple(decoys())) == (secrets, harmless)
    assert {line.kind for line in secrets} == {rule.kind for rule in DEFAULTS}


@pytest.mark.parametrize("strategy", Strategy)
def test_the_built_in_kinds_reach_their_goals_whatever_becomes_of_them(strategy: Strategy) -> None:
    told = measure(Redactor([Rule(rule.kind, strategy) for rule in DEFAULTS], b"key"))
    assert told.recall is not None and told.recall >= 0.99
    assert told.precision is not None and told.precision >= 0.97
    assert told.kinds["phone"].recall == 1.0


def test_a_kind_that_is_kept_is_not_missed() -> None:
    told = measure(Redactor([Rule("email")]))
    assert told.kinds["phone"].found is None and told.kinds["phone"].recall is None
    assert told.secrets == told.kinds["email"].planted == told.found
    assert told.recall == 1.0


def test_what_is_left_is_missed_and_a_decoy_that_changes_counts_against_precision() -> None:
    rules = [Rule("email"), Rule("order", pattern=r"order=\w+")]
    secrets = [
        Line("mail to bob@example.com", "bob@example.com", "email", False, ""),
        Line("mail to bob at example.com", "bob at example.com", "email", False, ""),
    ]
    harmless = [Line(text, "", "", False, "") for text in ("order=a and order=b", "a@example.com", "nothing")]
    told = measure(Redactor(rules), secrets, harmless)
    assert (told.kinds["email"].planted, told.kinds["email"].found, told.kinds["email"].wrong) == (2, 1, 1)
    assert (told.kinds["order"].planted, told.kinds["order"].wrong) == (0, 1)
    assert (told.recall, told.precision, told.touched, told.decoys) == (0.5, pytest.approx(1 / 3), 2, 3)
    assert told.kinds["order"].recall is None and told.kinds["order"].precision is None


def test_a_pattern_that_takes_too_much_shows() -> None:
    told = measure(Redactor([*DEFAULTS, Rule("all", pattern=r"\S+")]))
    assert told.recall == 1.0
    assert told.precision is not None and told.precision < 0.6 and told.touched == told.decoys


def test_nothing_to_look_for_is_nothing_measured() -> None:
    told = measure(Redactor([]))
    assert (told.recall, told.precision, told.secrets, told.touched) == (None, None, 0, 0)
