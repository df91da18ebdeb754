"""Mute rules: what they hide as it comes, until when, and that nothing stays hidden or slips through."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import transaction
from items import add_findings, make_item

from analysis import muting
from analysis.models import Event, Finding, Item, MuteRule
from logs import templates
from logs.models import Project, Template
from workers import streams
from workers.jobs import JobFailed

pytestmark = pytest.mark.django_db

Commits = Callable[..., Any]


@pytest.fixture
def user() -> User:
    return User.objects.create_user("ann")


def rule(user: User, *, even_so: bool = False, days: float = 30, **names: Any) -> MuteRule:
    """Make a rule on `mine`."""
    draft = MuteRule(
        project="mine", reason="known", expires_at=datetime.now(UTC) + timedelta(days=days), **names
    )  # fmt: skip
    return muting.create(draft, user=user, even_so=even_so)


def states(*items: Item) -> list[str]:
    found = dict(Item.objects.values_list("pk", "state"))
    return [found[item.pk] for item in items]


def actions(item: Item) -> list[str]:
    return list(Event.objects.filter(item=item).order_by("pk").values_list("action", flat=True))


# --- making one -------------------------------------------------------------------------------------------------


def test_a_rule_mutes_what_is_open_and_matches_and_says_so(user: User) -> None:
    mine, other = make_item(findings=3), make_item(service="cart")
    foreign = make_item(project="other")
    decided = [make_item(service="shop", entries=[state], state=state) for state in ("dismissed", "disputed")]
    made = rule(user, service="shop")
    assert states(mine, other, foreign, *decided) == ["muted", "open", "open", "dismissed", "disputed"]
    mine.refresh_from_db()
    assert (mine.muted_by, made.hidden, made.created_by) == (made, 3, user)
    event = Event.objects.get(item=mine)
    assert (event.action, event.user, event.details) == ("muted", user, {"rule": made.pk})
    (told,) = muting.history(made)
    assert (told.user, told.details["did"], told.details["findings"]) == (user, "made", 5)


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ({}, "names a template"),
        ({"service": "shop", "reason": " "}, "Say why"),
        ({"service": "shop", "expires_at": datetime(2020, 1, 1, tzinfo=UTC)}, "expires in the future"),
        ({"service": "shop", "expires_at": datetime.now(UTC) + timedelta(days=366)}, "within 365 days"),
        ({"expression": "(a"}, "the pattern is invalid"),
        ({"expression": "a*"}, "matches an empty text"),
    ],
)
def test_what_makes_no_sense_is_refused(user: User, names: dict[str, Any], said: str) -> None:
    given = {"reason": "known", "expires_at": datetime.now(UTC) + timedelta(days=1), **names}
    with pytest.raises(JobFailed, match=said):
        muting.create(MuteRule(project="mine", **given), user=user)
    assert not MuteRule.objects.exists()


def test_a_rule_that_would_have_hidden_confirmed_incidents_is_made_only_even_so(user: User) -> None:
    make_item(state="confirmed")
    with pytest.raises(JobFailed, match="would have hidden 1 confirmed incident"):
        rule(user, service="shop")
    assert rule(user, service="shop", even_so=True).back_test["confirmed"] == 1


def test_a_template_of_another_project_is_none_of_ours(user: User) -> None:
    foreign = Project.objects.create(slug="other", name="Other")
    template = Template.objects.create(project=foreign, number=7, changed_at=datetime.now(UTC))
    with pytest.raises(JobFailed, match="another project"):
        rule(user, template=template)


# --- items as they come -----------------------------------------------------------------------------------------


def test_new_reopened_and_newly_reported_items_are_muted(user: User) -> None:
    made = rule(user, service="shop", type="timeout")
    new, untyped, other = make_item(type="timeout", findings=2), make_item(entries=["b"]), make_item(service="cart")
    assert [item.pk for item in muting.apply([new, untyped, other])] == [new.pk]
    assert (new.state, untyped.state) == ("muted", "open")  # those given know
    Item.objects.filter(pk=untyped.pk).update(type="timeout")
    assert [item.pk for item in muting.apply([untyped])] == [untyped.pk]
    made.refresh_from_db()
    assert made.hidden == 3
    assert muting.apply([untyped]) == []  # nothing changed
    assert muting.apply([]) == []


def test_another_type_opens_an_item_again(user: User) -> None:
    made = rule(user, type="timeout")
    item = make_item(type="timeout")
    muting.apply([item])
    Item.objects.filter(pk=item.pk).update(type="disk full")
    muting.apply([item])
    assert (states(item), actions(item)) == (["open"], ["muted", "unmuted"])
    assert Event.objects.get(action="unmuted").details == {"rule": made.pk, "why": "unlike"}


def test_findings_of_muted_items_are_counted_and_open_what_is_unlike(user: User) -> None:
    made = rule(user, expression="user=17$")
    item = make_item(entries=["denied user=17"], findings=2)
    muting.apply([item])
    add_findings(item, ["denied user=17"], 3)
    new = list(Finding.objects.order_by("-pk").values_list("pk", flat=True)[:3])
    muting.seen(new)
    made.refresh_from_db()
    assert (made.hidden, states(item)) == (5, ["muted"])
    add_findings(item, ["denied user=18"])
    muting.seen([Finding.objects.latest("pk").pk])
    made.refresh_from_db()
    assert (made.hidden, states(item)) == (5, ["open"])


def test_a_template_is_matched_whatever_it_is_merged_into(user: User) -> None:
    item = make_item(entries=["begin", "denied for bob 3"])
    other = make_item(entries=["begin", "started"])
    project = Project.objects.get(slug="mine").pk
    with transaction.atomic():
        (number,) = templates.match(project, ["denied for bob 7"])
    template = Template.objects.get(number=number)
    made = rule(user, template=template)
    assert states(item, other) == ["muted", "open"]
    muting.end(made, user=user)
    wide = Template.objects.create(project_id=project, number=5, fixed="denied <*>", changed_at=datetime.now(UTC))
    Template.objects.filter(pk=template.pk).update(merged_into=wide)
    rule(user, template=wide)
    assert states(item, other) == ["muted", "open"]


def test_what_no_model_flagged_is_never_muted(user: User) -> None:
    control = make_item()
    Item.objects.filter(pk=control.pk).update(kind=Item.Kind.CONTROL)
    rule(user, service="shop")
    muting.apply([control])
    assert states(control) == ["open"]


# --- the end ----------------------------------------------------------------------------------------------------


def test_the_end_opens_what_nobody_decided_and_no_other_rule_hides(user: User) -> None:
    made = rule(user, service="shop")
    items = [make_item(entries=[name]) for name in ("a", "b", "c")]
    muting.apply(items)
    Item.objects.filter(pk=items[1].pk).update(state="confirmed")
    other = rule(user, expression="^c$")
    assert muting.end(made, user=user)
    assert states(*items) == ["open", "confirmed", "muted"]
    assert Item.objects.get(pk=items[2].pk).muted_by == other
    assert actions(items[0]) == ["muted", "unmuted"]
    assert (made.ended_why, made.ended_at is not None) == ("person", True)
    assert [event.details["did"] for event in muting.history(made)] == ["person", "made"]
    assert not muting.end(made, user=user)  # the second of two
    new = make_item(entries=["d"])
    assert muting.apply([new]) == []


def test_rules_expire_and_the_sweeper_opens_what_they_hid(user: User) -> None:
    assert muting.tidy in streams.CHORES
    made, kept = rule(user, service="shop"), rule(user, service="cart")
    item, still = make_item(), make_item(service="cart")
    muting.apply([item, still])
    MuteRule.objects.filter(pk=made.pk).update(expires_at=datetime.now(UTC))
    assert muting.apply([make_item(entries=["new"])]) == []  # at once, whenever the sweeper comes
    assert (muting.tidy(), muting.tidy()) == (1, 0)
    made.refresh_from_db()
    kept.refresh_from_db()
    assert (made.ended_why, kept.ended_at) == ("expired", None)
    assert states(item, still) == ["open", "muted"]


def test_the_sweeper_finishes_what_somebody_began_and_died_over(user: User) -> None:
    made, over = rule(user, service="shop"), rule(user, service="cart")
    missed, left = make_item(), make_item(service="cart")
    muting.apply([left])
    MuteRule.objects.filter(pk=over.pk).update(ended_at=datetime.now(UTC), ended_why="person")
    muting.tidy()
    assert states(missed, left) == ["muted", "open"]
    assert Item.objects.get(pk=missed.pk).muted_by == made


def test_a_flood_ends_a_rule_and_says_the_numbers(user: User, django_capture_on_commit_callbacks: Commits) -> None:
    make_item(entries=["before"])
    made = rule(user, service="shop")
    item = make_item(entries=["flood"], findings=10)
    with django_capture_on_commit_callbacks(execute=True):
        muting.apply([item])
    assert states(item) == ["muted"]
    with django_capture_on_commit_callbacks(execute=True):
        add_findings(item, ["flood"], 20)
        muting.seen(Finding.objects.order_by("-pk").values_list("pk", flat=True)[:20])
        assert states(item) == ["muted"]
    assert states(item) == ["open"]
    made.refresh_from_db()
    assert made.ended_why == "drift"
    figures = {"day": datetime.now(UTC).date().isoformat(), "findings": 31, "busiest": 1}
    assert muting.history(made)[0].details == {"rule": made.pk, "did": "drift", **figures}
    told = Event.objects.get(item=item, action="unmuted")
    assert (told.user, told.details) == (None, {"rule": made.pk, "why": "drift", **figures})


def test_old_findings_of_an_item_are_no_flood(user: User, django_capture_on_commit_callbacks: Commits) -> None:
    made = rule(user, type="timeout")
    item = make_item(findings=100, type="timeout", at=datetime.now(UTC) - timedelta(days=5))
    with django_capture_on_commit_callbacks(execute=True):
        muting.apply([item])
    assert states(item) == ["muted"]
    assert [(day.findings, round(day.score)) for day in made.days.all()] == [(100, 90)]


def test_worse_scores_end_a_rule(user: User, django_capture_on_commit_callbacks: Commits) -> None:
    make_item(entries=["before"], findings=10, score=0.6)
    made = rule(user, service="shop")
    item = make_item(entries=["worse"], findings=3, score=0.95)
    MuteRule.objects.filter(pk=made.pk).update(back_test=made.back_test | {"busiest": 100})
    made.days.all().delete()
    with django_capture_on_commit_callbacks(execute=True):
        muting.apply([item])
    assert states(item) == ["muted"]  # too few to say
    with django_capture_on_commit_callbacks(execute=True):
        muting.apply([make_item(entries=["worse again"], findings=3, score=0.95)])
    assert states(item) == ["open"]
    told = muting.history(made)[0].details
    assert (told["did"], told["score"], told["score_before"]) == ("drift", 0.95, 0.6)
