"""What a project's verdicts tell: how people agree, whom to trust, and how sure a settled label is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from django.core.cache import cache
from verdicts import asked, people, say

from analysis import agreement
from analysis.engine.reliability import USUAL
from analysis.models import Verdict

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _forgotten_figures() -> None:
    cache.clear()


def test_figures_are_those_of_the_verdicts(django_assert_num_queries: Any) -> None:
    ann, bob, cyd = people("ann", "bob", "cyd")
    items = asked(6)
    table = ["timeout timeout", "timeout disk", "- -", "anomalous -", "- - -", "timeout timeout timeout"]
    for item, row in zip(items, table, strict=True):
        for user, what in zip((ann, bob, cyd), row.split(), strict=False):
            say(item, user, what.strip("-"), seconds=10.0 if user == ann else None)
    with django_assert_num_queries(2):
        found = agreement.measure(project="ours")
    assert (found.verdicts, found.items) == (14, 6)
    assert (found.classes.agreed, found.types.agreed, found.classes.shared) == (5, 4, 6)
    assert (found.classes.raters, found.classes.fleiss.items) == (2, 4)
    assert found.classes.low < 5 / 6 < found.classes.high
    assert found.classes.alpha.value and found.types.alpha.value
    assert found.classes.alpha.value > found.types.alpha.value
    kinds = {(kind.anomalous, kind.type): kind.verdicts for kind in found.kinds}
    assert kinds == {(True, "timeout"): 6, (True, "disk"): 1, (False, ""): 6, (True, ""): 1}
    pairs = {(pair.first, pair.second): (pair.kappa.items, pair.agreed) for pair in found.pairs}
    assert pairs == {(ann.pk, bob.pk): (6, 5), (ann.pk, cyd.pk): (2, 2), (bob.pk, cyd.pk): (2, 2)}
    first = found.reviewers[0]
    assert (first.name, first.verdicts, first.seconds, first.shared) == ("ann", 6, 10.0, 6)
    assert [each.seconds for each in found.reviewers[1:]] == [None, None]
    assert all(0.5 < each.accuracy <= 1 for each in found.reviewers if each.accuracy)


def test_only_verdicts_that_count_do() -> None:
    ann, bob = people("ann", "bob")
    once, again, *_ = asked(2)
    now = datetime.now(UTC)
    say(once, ann, "timeout", undone_at=now)
    say(once, ann, "")
    say(once, bob, "", adjudication=True)
    say(again, ann, "timeout", round=1)
    say(again, bob, "timeout", round=2)
    again.round = 2
    again.save()
    (other,) = asked(1, project="theirs")
    say(other, ann, "timeout")
    found = agreement.measure(project="ours")
    assert (found.verdicts, found.items) == (2, 2)
    Verdict.objects.filter(item=again).update(created_at=now - timedelta(days=3))
    assert agreement.measure(project="ours", since=now.date()).verdicts == 1


def test_without_verdicts_there_are_reasons_and_no_figures() -> None:
    found = agreement.measure(project="ours")
    assert (found.verdicts, found.pairs, found.kinds, found.reviewers) == (0, [], [], [])
    assert found.classes.alpha.reason and found.classes.fleiss.reason
    (ann,) = people("ann")
    say(asked(1)[0], ann, "timeout")
    found = agreement.measure(project="ours")
    assert (found.classes.alpha.reason, found.classes.shared, found.pairs) == (agreement.agreement.FEW, 0, [])
    assert (found.reviewers[0].accuracy, found.reviewers[0].shared) == (None, 0)
    assert agreement.reliability(project="ours") == {}


def test_who_is_often_wrong_is_trusted_less_and_so_are_labels_of_theirs() -> None:
    users = people("ann", "bob", "cyd", "dan")
    chance = np.random.default_rng(3)
    items = asked(120)
    verdicts = [
        Verdict(item=item, user=user, anomalous=bool((number % 3 == 0) ^ (chance.random() > right)))
        for number, item in enumerate(items)
        for user, right in zip(users, (0.97, 0.95, 0.95, 0.6), strict=True)
    ]
    Verdict.objects.bulk_create(verdicts)
    found = agreement.reliability(project="ours")
    assert found[users[3].pk] < 0.75 < 0.9 < min(found[each.pk] for each in users[:3])
    (item,) = asked(1)
    good, poor = say(item, users[0], "timeout"), say(item, users[3], "timeout")
    sure = agreement.confidence(item=item, verdicts=[good])
    assert sure == pytest.approx(found[users[0].pk])
    assert agreement.confidence(item=item, verdicts=[poor]) < 0.75
    assert agreement.confidence(item=item, verdicts=[good, poor]) > sure
    against = say(item, users[1], "", round=2)
    assert agreement.confidence(item=item, verdicts=[good, poor, against]) < sure
    new = say(item, people("eve")[0], "", adjudication=True)
    assert agreement.confidence(item=item, verdicts=[good, poor, new]) == pytest.approx(USUAL)


def test_an_adjudication_tells_who_of_two_was_right() -> None:
    ann, bob, boss = people("ann", "bob", "boss")
    for number, item in enumerate(asked(24)):
        say(item, ann, "timeout" if number % 2 else "")
        say(item, bob, "timeout" if number % 2 or number % 3 == 0 else "")
        if number % 3 == 0:
            say(item, boss, "timeout" if number % 2 else "", adjudication=True)
    found = agreement.reliability(project="ours")
    assert found[ann.pk] > 0.95 > 0.9 > found[bob.pk]
    assert boss.pk not in found


def test_reliabilities_are_kept_for_a_while(django_assert_num_queries: Any) -> None:
    ann, bob = people("ann", "bob")
    (item,) = asked(1)
    for user in (ann, bob):
        say(item, user, "timeout")
    known = agreement.reliability(project="ours")
    with django_assert_num_queries(0):
        assert agreement.reliability(project="ours") == known
    assert agreement.reliability(project="theirs") == {}
