"""Who gets which item to review, and for how long."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.utils import timezone
from reviewing import opened, person, scanned

from analysis import findings, queue, review, sampling
from analysis.models import Item, Lease, ReviewPolicy
from analysis.review import Said
from detection import scan
from detection.models import ModelVersion, Scan, Score
from logs.models import Dataset, Sequence
from workers.jobs import Conflict
from workers.models import Run

pytestmark = pytest.mark.django_db


@pytest.fixture
def three() -> list[Item]:
    """Three items without controls, the one that teaches most first."""
    opened(["disk is full"], value=0.6)
    opened(["order failed"], value=0.8)
    opened(["cache lost"], value=0.95)
    ReviewPolicy.objects.create(project="mine", control_share=0)
    return list(Item.objects.order_by("-priority"))


def claim(user: User) -> Item | None:
    return queue.claim(user=user, items=Item.objects.filter(project="mine"))


def test_what_teaches_most_comes_first_and_nobody_gets_what_another_holds(three: list[Item]) -> None:
    ada, bob, eve, dan = (person(name) for name in ("ada", "bob", "eve", "dan"))
    assert [claim(each) for each in (ada, bob, eve, dan)] == [*three, None]
    assert claim(ada) == three[0]
    with pytest.raises(Conflict, match="somebody else"):
        queue.hold(user=bob, item=three[0])


def test_two_hold_an_item_that_two_are_to_judge(three: list[Item]) -> None:
    ReviewPolicy.objects.update(reviewers=2)
    ada, bob, eve = (person(name) for name in ("ada", "bob", "eve"))
    assert [claim(each) for each in (ada, bob, eve)] == [three[0], three[0], three[1]]
    review.judge(user=ada, item=three[0], said=Said(False))
    assert claim(bob) == three[0]
    review.judge(user=bob, item=three[0], said=Said(False))
    assert claim(bob) == three[1]


def test_who_judged_an_item_does_not_get_it_again(three: list[Item]) -> None:
    ReviewPolicy.objects.update(reviewers=2)
    ada = person("ada")
    review.judge(user=ada, item=three[0], said=Said(False))
    assert claim(ada) == three[1]


def test_what_is_let_go_or_held_too_long_is_free_again(three: list[Item]) -> None:
    ada, bob, eve = (person(name) for name in ("ada", "bob", "eve"))
    assert claim(ada) == three[0]
    Lease.objects.update(until=timezone.now() - timedelta(seconds=1))
    assert claim(bob) == three[0]
    queue.release(user=bob, item=three[0])
    assert claim(eve) == three[0]


def test_a_draft_is_kept_with_what_is_held(three: list[Item]) -> None:
    ada = person("ada")
    queue.keep_draft(user=ada, item=three[0], draft={"note": "so far"})
    assert claim(ada) == three[0]
    assert ada.leases.get().draft == {"note": "so far"}


def test_orders(three: list[Item]) -> None:
    ada = person("ada")
    Item.objects.filter(pk=three[2].pk).update(severity="critical")
    every = Item.objects.filter(project="mine")
    assert queue.claim(user=ada, items=every, order="gravest") == three[2]
    queue.release(user=ada, item=three[2])
    assert queue.claim(user=ada, items=every, order="newest") == Item.objects.order_by("-last_seen_at").first()


@pytest.mark.django_db(transaction=True)
def test_reviewers_who_come_at_once_hold_different_items() -> None:
    opened([f"failure of kind {letter * 9}" for letter in "abcdefgh"])
    ReviewPolicy.objects.create(project="mine", control_share=0)
    people = [person(f"p{number}") for number in range(8)]

    def come(user: User) -> int | None:
        try:
            found = claim(user)
            return found.pk if found else None
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        held = list(pool.map(come, people))
    got = [each for each in held if each is not None]
    assert len(set(got)) == len(got)
    # Whoever found rows locked by others may have been sent away, and finds the rest on asking again.
    for user, number in zip(people, held, strict=True):
        if number is None:
            assert claim(user) is not None


def normal(count: int) -> list[Sequence]:
    """Store sequences that the newest scan of `mine` called normal."""
    dataset = Dataset.objects.get(project__slug="mine")
    rows = [Sequence(dataset=dataset, key=f"n{n}", entries=[f"fine {'x' * n}"], length=1) for n in range(count)]
    rows = Sequence.objects.bulk_create(rows)
    newest = Scan.objects.latest("pk")
    Score.objects.bulk_create(Score(scan=newest, sequence=row, value=0.1, anomalous=False) for row in rows)
    return rows


def test_a_share_of_what_is_asked_about_nobody_flagged(three: list[Item]) -> None:
    ReviewPolicy.objects.update(control_share=0.5)
    rows = normal(10)
    assert sampling.controls() == 2
    drawn = Item.objects.filter(kind="control")
    assert {item.sequence_id for item in drawn} <= {row.pk for row in rows}
    assert all(item.score is not None for item in drawn)
    assert sampling.controls() == 0
    ReviewPolicy.objects.update(control_share=0)
    assert sampling.controls() == 0


def test_a_control_is_judged_like_anything_else(three: list[Item]) -> None:
    ReviewPolicy.objects.update(control_share=0.5)
    normal(3)
    sampling.controls()
    control = Item.objects.filter(kind="control").first()
    assert control is not None
    held = review.judge(user=person("ada"), item=control, said=Said(True, "静默失败"))
    assert held.state == "confirmed"
    assert control.sequence.labels.get().type == "静默失败"


def shadowed(champion: Scan, said: dict[int, float]) -> None:
    """Store what a shadow says where it disagrees with a scan."""
    number = ModelVersion.objects.count() + 1
    version = ModelVersion.objects.create(project="mine", name="m", number=number, detector="moe", threshold=0.5)
    found = scan.Findings()
    for pk, value in said.items():
        found.sequences.append(pk)
        found.values.append(value)
        if value >= 0.5:
            found.blame[pk] = ()
    run = Run.objects.create(project="mine", job="scan")
    scan.keep(
        found, version=version, dataset=champion.dataset, part=None, run=run, shadow_of=champion, totals=(9, 1)
    )  # fmt: skip


def test_where_champion_and_shadow_disagree_people_are_asked_first(three: list[Item]) -> None:
    champion = scanned(["surely broken"], value=0.99)
    flagged = Score.objects.get(scan=champion).sequence_id
    (calm,) = normal(1)
    shadowed(champion, {flagged: 0.2, calm.pk: 0.9})
    findings.open_for(champion.pk)
    findings.open_for(champion.pk)
    first, second = Item.objects.order_by("-priority", "-id")[:2]
    assert {first.sequence_id, second.sequence_id} == {flagged, calm.pk}
    assert {(item.kind, item.doubted) for item in (first, second)} == {("findings", True), ("doubt", True)}
    assert Item.objects.filter(kind="doubt").count() == 1


def test_a_dispute_is_settled_by_one_at_a_time_who_is_no_part_of_it(three: list[Item]) -> None:
    ReviewPolicy.objects.update(reviewers=2)
    ada, bob, eve, dan = (person(name) for name in ("ada", "bob", "eve", "dan"))
    for user, anomalous in ((ada, True), (bob, False)):
        review.judge(user=user, item=three[0], said=Said(anomalous))
    every = Item.objects.filter(project="mine")
    assert queue.claim(user=bob, items=every, settle=True) is None
    assert queue.claim(user=eve, items=every, settle=True) == three[0]
    assert queue.claim(user=dan, items=every, settle=True) is None
    with pytest.raises(Conflict, match="somebody else"):
        queue.hold(user=dan, item=three[0])
