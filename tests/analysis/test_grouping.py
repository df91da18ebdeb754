"""Findings that say the same are one item: one card, one verdict."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone
from reviewing import opened

from analysis import grouping
from analysis.models import AnomalyReport, Event, Finding, Item, ReviewPolicy
from logs.models import Sequence

pytestmark = pytest.mark.django_db


def test_sequences_that_differ_in_values_only_are_one_item() -> None:
    opened(["order 17 failed", "order 99 failed", "disk is full"])
    assert sorted(Item.objects.values_list("findings_count", "state")) == [(1, "open"), (2, "open")]
    assert not Finding.objects.filter(item=None).exists()
    assert Event.objects.filter(action="opened").count() == 2


def test_services_and_projects_are_apart() -> None:
    opened(["order 17 failed"], service="pay")
    opened(["order 18 failed"], service="cart")
    opened(["order 19 failed"], service="pay", project="other")
    opened(["order 20 failed"], service="pay")
    counted = sorted(Item.objects.values_list("project", "service", "findings_count"))
    assert counted == [("mine", "cart", 1), ("mine", "pay", 2), ("other", "pay", 1)]


def test_an_item_shows_its_newest_sequence_and_teaches_more_the_more_it_reaches() -> None:
    opened(["order 17 failed"])
    before = Item.objects.get()
    opened(["order 18 failed", "order 19 failed"])
    after = Item.objects.get()
    assert after.sequence_id == Sequence.objects.latest("pk").pk
    assert after.score is not None
    assert after.score.sequence_id == after.sequence_id
    assert after.priority > before.priority


def test_what_is_near_the_threshold_comes_first() -> None:
    opened(["order 17 failed"], value=0.99)
    opened(["disk is full"], value=0.51)
    assert Item.objects.order_by("-priority").first() == Item.objects.get(score__value=0.51)


@pytest.mark.parametrize("state", ["dismissed", "confirmed"])
def test_a_finding_that_joins_a_decided_item_is_decided(state: str) -> None:
    opened(["order 17 failed"])
    Item.objects.update(state=state)
    opened(["order 18 failed"])
    assert Item.objects.get().findings_count == 2
    assert Finding.objects.latest("pk").state == state


def test_what_was_confirmed_and_quiet_opens_again() -> None:
    opened(["order 17 failed"])
    ReviewPolicy.objects.create(project="mine", quiet_hours=6)
    Item.objects.update(state="confirmed", last_seen_at=timezone.now() - timedelta(hours=7))
    opened(["order 18 failed"])
    item = Item.objects.get()
    assert (item.state, item.round, item.findings_count) == ("open", 2, 2)
    assert Finding.objects.latest("pk").state == "open"
    assert item.events.latest("id").action == "reopened"


def test_what_was_dismissed_stays_so_however_long_ago() -> None:
    opened(["order 17 failed"])
    Item.objects.update(state="dismissed", last_seen_at=timezone.now() - timedelta(days=99))
    opened(["order 18 failed"])
    assert Item.objects.get().state == "dismissed"


def test_findings_of_a_merged_item_join_the_one_it_was_merged_into() -> None:
    opened(["order 17 failed", "disk is full"])
    first, second = Item.objects.order_by("pk")
    Item.objects.filter(pk=first.pk).update(merged_into=second)
    lines = {first: "order 18 failed", second: "disk is full"}
    same = first if "order" in first.sequence.entries[1] else second
    opened([lines[first] if same == first else "disk is full"])
    second.refresh_from_db()
    assert second.findings_count == 2


def test_a_report_tells_an_open_item_its_type_and_severity() -> None:
    opened(["order 17 failed"])
    finding = Finding.objects.get()
    report = AnomalyReport.objects.create(finding=finding, state="done", type="超时异常", severity="high", key="k")
    grouping.reported([report])
    assert Item.objects.values_list("type", "severity").get() == ("超时异常", "high")
    Item.objects.update(state="confirmed", type="慢查询")
    grouping.reported([report])
    assert Item.objects.get().type == "慢查询"
