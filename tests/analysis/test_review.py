"""What reviewers say, when it is enough, and what follows from it."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from reviewing import blind, opened, person

from analysis import review
from analysis.models import Finding, Item, Verdict
from analysis.review import Said
from logs.models import Label
from workers.jobs import Conflict, JobFailed

pytestmark = pytest.mark.django_db

MORE = Said(True, "超时异常", (1,))


@pytest.fixture
def item() -> Item:
    """Three findings that say the same."""
    opened(["order 17 failed", "order 18 failed", "order 19 failed"])
    return Item.objects.get()


def states() -> set[str]:
    return set(Finding.objects.values_list("state", flat=True))


def test_one_verdict_settles_all_findings_that_say_the_same(item: Item) -> None:
    held = review.judge(user=person("ada"), item=item, said=MORE)
    assert (held.state, held.type, states()) == ("confirmed", "超时异常", {"confirmed"})
    labels = Label.objects.filter(source="review")
    assert set(labels.values_list("value", "type", "user__username")) == {(1, "超时异常", "ada")}
    assert labels.count() == 3
    assert [event.action for event in item.events.order_by("id")] == ["opened", "judged", "settled"]


def test_a_false_alarm_labels_all_of_them_normal(item: Item) -> None:
    assert review.judge(user=person("ada"), item=item, said=Said(False)).state == "dismissed"
    assert set(Label.objects.values_list("value", "type")) == {(0, "")}


def test_two_reviewers_who_agree_settle_it(item: Item) -> None:
    blind(2)
    assert review.judge(user=person("ada"), item=item, said=MORE).state == "open"
    assert not Label.objects.exists()
    assert review.judge(user=person("bob"), item=item, said=MORE).state == "confirmed"


def test_nobody_sees_the_other_verdict_before_it_is_settled(item: Item) -> None:
    blind(2)
    ada, bob = person("ada"), person("bob")
    review.judge(user=ada, item=item, said=MORE)
    assert not review.shown(item, bob).exists()
    assert review.shown(item, ada).count() == 1
    assert review.shown(review.judge(user=bob, item=item, said=MORE), bob).count() == 2


@pytest.mark.parametrize("other", [Said(False), Said(True, "慢查询")])
def test_those_who_disagree_leave_it_to_a_third(item: Item, other: Said) -> None:
    blind(2)
    ada, bob, eve = person("ada"), person("bob"), person("eve")
    review.judge(user=ada, item=item, said=MORE)
    assert review.judge(user=bob, item=item, said=other).state == "disputed"
    assert states() == {"open"}
    with pytest.raises(Conflict, match="somebody else has to decide"):
        review.judge(user=ada, item=item, said=MORE)
    assert review.judge(user=eve, item=item, said=other).state == ("confirmed" if other.anomalous else "dismissed")
    assert Verdict.objects.get(user=eve).adjudication


def test_an_owner_may_settle_their_own_dispute(item: Item) -> None:
    blind(2)
    ada, bob = person("ada", "owner"), person("bob")
    review.judge(user=ada, item=item, said=MORE)
    review.judge(user=bob, item=item, said=Said(False))
    assert review.judge(user=ada, item=item, said=Said(False)).state == "dismissed"


def test_nobody_judges_twice_and_not_what_is_settled(item: Item) -> None:
    blind(2)
    ada = person("ada")
    review.judge(user=ada, item=item, said=MORE)
    with pytest.raises(Conflict, match="already"):
        review.judge(user=ada, item=item, said=MORE)
    review.judge(user=person("bob"), item=item, said=MORE)
    with pytest.raises(Conflict, match="confirmed"):
        review.judge(user=person("eve"), item=item, said=MORE)


def test_a_verdict_on_an_earlier_round_is_refused(item: Item) -> None:
    ada, bob = person("ada"), person("bob")
    review.judge(user=ada, item=item, said=MORE)
    review.reopen(user=bob, item=item)
    with pytest.raises(Conflict):
        review.judge(user=ada, item=item, said=MORE, seen=1)
    assert review.judge(user=ada, item=item, said=MORE, seen=2).state == "confirmed"


@pytest.mark.parametrize(
    "said", [Said(False, "超时异常"), Said(True, "正常"), Said(True, "", (9,)), Said(True, "", (-1,))]
)
def test_what_makes_no_sense_is_refused(item: Item, said: Said) -> None:
    with pytest.raises(JobFailed):
        review.judge(user=person("ada"), item=item, said=said)


def test_what_is_taken_back_leaves_nothing_but_a_note(item: Item) -> None:
    ada = person("ada")
    review.judge(user=ada, item=item, said=MORE)
    held = review.undo(user=ada, project="mine")
    assert (held.state, states(), Label.objects.count()) == ("open", {"open"}, 0)
    assert ada.leases.get().draft == {"anomalous": True, "type": "超时异常", "lines": [1], "note": ""}
    assert item.events.latest("id").action == "undone"
    with pytest.raises(JobFailed, match="nothing"):
        review.undo(user=ada, project="mine")


def test_what_others_built_upon_is_not_taken_back(item: Item) -> None:
    blind(2)
    ada, bob = person("ada"), person("bob")
    review.judge(user=ada, item=item, said=MORE)
    review.judge(user=bob, item=item, said=MORE)
    with pytest.raises(Conflict, match="others since"):
        review.undo(user=ada, project="mine")
    assert review.undo(user=bob, project="mine").state == "open"


def test_reopened_by_a_person_its_labels_are_gone(item: Item) -> None:
    ada = person("ada")
    review.judge(user=ada, item=item, said=MORE)
    held = review.reopen(user=ada, item=item)
    assert (held.state, held.round, states(), Label.objects.count()) == ("open", 2, {"open"}, 0)


def test_merged_items_are_one_and_settled_by_one_verdict(item: Item) -> None:
    opened(["disk is full"])
    other = Item.objects.exclude(pk=item.pk).get()
    ada = person("ada")
    target = review.merge(user=ada, items=[other], into=item)
    assert target.findings_count == 4
    review.judge(user=ada, item=target, said=MORE)
    assert (states(), Label.objects.count()) == ({"confirmed"}, 4)
    for deed in (lambda: review.reopen(user=ada, item=other), lambda: review.judge(user=ada, item=other, said=MORE)):
        with pytest.raises(Conflict, match="merged into"):
            deed()


def test_those_who_are_meant_by_a_remark_find_it(item: Item) -> None:
    ada, bob = person("ada"), person("bob")
    User.objects.create_user("eve")
    person("bobb")
    made = review.comment(user=ada, item=item, text="请@bob看看, @eve @bobby @nobody")
    assert list(made.mentions.all()) == [bob]


def test_only_reviewers_own_items(item: Item) -> None:
    ada = person("ada")
    review.assign(user=ada, item=item, owner=ada)
    assert Item.objects.get().owner == ada
    with pytest.raises(JobFailed, match="no reviewer"):
        review.assign(user=ada, item=item, owner=person("eve", "viewer"))


def test_a_decision_on_a_finding_is_one_on_its_item(item: Item) -> None:
    ada = person("ada")
    finding = Finding.objects.first()
    assert finding is not None
    assert review.decide(user=ada, finding=finding, state=Finding.State.DISMISSED).state == "dismissed"
    assert states() == {"dismissed"}
    assert review.decide(user=ada, finding=finding, state=Finding.State.CONFIRMED).state == "confirmed"
    assert set(Label.objects.values_list("value", flat=True)) == {1}
    assert review.decide(user=ada, finding=finding, state=Finding.State.OPEN).state == "open"


def test_a_finding_from_before_there_were_items_gets_one(item: Item) -> None:
    Finding.objects.update(item=None)
    Item.objects.all().delete()
    finding = Finding.objects.first()
    assert finding is not None
    review.decide(user=person("ada"), finding=finding, state=Finding.State.DISMISSED)
    assert (states(), Item.objects.count()) == ({"dismissed"}, 1)
