"""What a mute rule would have hidden: items by their state, findings by their day, however many there are."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from items import add_findings, make_item

from analysis import backtest
from analysis.models import Finding, MuteRule
from logs.models import Project, Sequence, Template

pytestmark = pytest.mark.django_db


def ago(days: float) -> datetime:
    return datetime.now(UTC) - timedelta(days=days)


def test_items_and_findings_are_counted_by_what_became_of_them() -> None:
    make_item(entries=["g"], state="confirmed", at=ago(91))  # too long ago
    confirmed = make_item(entries=["a"], state="confirmed", findings=3, at=ago(2))
    again = make_item(entries=["b"], state="confirmed", findings=1, at=ago(9))
    again.state = "open"  # confirmed once, and seen again
    add_findings(again, ["b"], 1)
    make_item(entries=["c"], state="dismissed", at=ago(2))
    make_item(entries=["d"], state="disputed", at=ago(1))
    make_item(entries=["e"], findings=2)
    make_item(entries=["f"], state="muted")
    make_item(entries=["a"], state="confirmed", service="cart")
    make_item(entries=["a"], state="confirmed", project="other")
    found = backtest.back_test(MuteRule(project="mine", service="shop"))
    assert (found.items, found.findings) == (6, 10)
    assert (found.confirmed, found.dismissed, found.open, found.muted) == (2, 1, 2, 1)
    assert found.links == [again.pk, confirmed.pk]
    assert len(found.per_day) == 91 and found.per_day[-3:] == [4, 1, 4] and found.per_day[-10] == 1
    assert (found.busiest, found.rate) == (4, pytest.approx(10 / 90, rel=1e-3))
    assert (found.scores.count, found.scores.mean) == (10, pytest.approx(0.9))
    kept = found.as_json()
    assert (kept["busiest"], kept["confirmed"], kept["until"]) == (4, 2, datetime.now(UTC).date().isoformat())


def test_a_young_project_has_the_rate_of_the_days_it_has_seen() -> None:
    make_item(findings=20, at=ago(4))
    assert backtest.back_test(MuteRule(project="mine", service="shop")).rate == pytest.approx(5, rel=1e-3)
    empty = backtest.back_test(MuteRule(project="none", service="shop"))
    assert (empty.items, empty.findings, empty.rate, empty.busiest, empty.links) == (0, 0, 0, 0, [])


def test_each_condition_narrows() -> None:
    make_item(entries=["denied user=17"], type="auth")
    make_item(entries=["denied user=18 twice"], type="auth")
    make_item(entries=["started"], type="auth")
    make_item(entries=["started"], service="cart")
    project = Project.objects.get(slug="mine")

    def count(**names: object) -> int:
        return backtest.back_test(MuteRule(project="mine", **names)).items

    assert count(type="auth") == 3
    assert count(expression="user=1[78]") == 2
    assert count(expression="user=17$", type="auth") == 1
    assert count(expression="user=17$", service="cart") == 0
    assert count(template=Template.objects.create(project=project, number=9, changed_at=ago(0))) == 0
    numbers = dict(Template.objects.values_list("pattern", "number"))  # the question has filled them in
    assert not Sequence.objects.filter(templates=None).exists()
    started = Template.objects.get(number=numbers["started"])
    assert count(template=started) == 2
    assert count(template=started, service="cart") == 1


def test_lines_are_read_only_of_what_is_left_and_queries_do_not_grow_with_the_rows() -> None:
    for number in range(60):
        make_item(entries=[f"line {'x' * number}"], findings=2, service="cart" if number else "shop")
    with CaptureQueriesContext(
        connection,
    ) as asked:
        assert backtest.back_test(MuteRule(project="mine", service="cart")).findings == 118
    assert len(asked) <= 5 and not any('"entries"' in query["sql"] for query in asked)
    assert Finding.objects.count() == 120
