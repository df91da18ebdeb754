"""Rules that change while items are made: nothing slips through, nothing stays hidden for good."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Event as Signal
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection, transaction
from items import make_item

from analysis import muting
from analysis.models import Event, Item, MuteRule

pytestmark = pytest.mark.django_db(transaction=True)

WAITS = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"


def rule(user: User) -> MuteRule:
    draft = MuteRule(
        project="mine", service="shop", reason="known", expires_at=datetime.now(UTC) + timedelta(days=1)
    )  # fmt: skip
    return muting.create(draft, user=user)


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as pool:
        yield pool


def closing(work: Callable[[], Any]) -> Callable[[], Any]:
    """Return the work as a thread does it that has a connection of its own."""

    def run() -> Any:
        try:
            return work()
        finally:
            connection.close()

    return run


def waits() -> int:
    """How many connections wait for a lock."""
    with connection.cursor() as cursor:
        cursor.execute(WAITS)
        [count] = cursor.fetchone()
    return int(count)


class Held:
    """A transaction in a thread that has done its work and commits when it is told to."""

    def __init__(self, pool: ThreadPoolExecutor, work: Callable[[], Any]) -> None:
        self.done, self.go = Signal(), Signal()

        def run() -> None:
            with transaction.atomic():
                work()
                self.done.set()
                assert self.go.wait(20)

        self.future: Future[Any] = pool.submit(closing(run))
        assert self.done.wait(20)

    def commit(self) -> None:
        self.go.set()
        self.future.result(20)


def test_an_item_that_is_made_while_a_rule_is_gets_muted(pool, until) -> None:
    user = User.objects.create_user("ann")
    made: list[Item] = []

    def group() -> None:
        made.append(make_item())
        assert muting.apply(made) == []  # it knows of no rule yet

    grouping = Held(pool, group)
    making = pool.submit(closing(lambda: rule(user)))
    until(waits)
    assert MuteRule.objects.count() == 1 and not making.done()
    grouping.commit()
    making.result(20)
    assert Item.objects.get().state == "muted"


def test_an_item_that_is_muted_while_its_rule_ends_is_open_again(pool, until) -> None:
    user = User.objects.create_user("ann")
    over = rule(user)
    grouping = Held(pool, lambda: muting.apply([make_item()]))
    ending = pool.submit(closing(lambda: muting.end(over, user=user)))
    until(waits)
    grouping.commit()
    assert ending.result(20)
    assert Item.objects.get().state == "open"
    assert list(Event.objects.filter(item__isnull=False).values_list("action", flat=True)) == ["unmuted", "muted"]


def test_items_that_somebody_works_on_are_waited_for_and_not_overruled(pool, until) -> None:
    user = User.objects.create_user("ann")
    settled, looked_at, free = make_item(entries=["a"]), make_item(entries=["b"]), make_item(entries=["c"])

    def review() -> None:  # in an order that is not ours
        Item.objects.filter(pk=looked_at.pk).update(priority=7)
        Item.objects.filter(pk=settled.pk).update(state="dismissed")

    reviewing = Held(pool, review)
    making = pool.submit(closing(lambda: rule(user)))
    until(lambda: Item.objects.get(pk=free.pk).state == "muted" and waits())
    reviewing.commit()
    making.result(20)
    found = dict(Item.objects.values_list("pk", "state"))
    assert [found[item.pk] for item in (settled, looked_at, free)] == ["dismissed", "muted", "muted"]


def test_a_rule_ends_once_however_many_end_it(pool) -> None:
    user = User.objects.create_user("ann")
    over = rule(user)
    for number in range(10):
        make_item(entries=[f"line {chr(97 + number)}"])
    with transaction.atomic():
        muting.apply(Item.objects.all())
    MuteRule.objects.update(expires_at=datetime.now(UTC))
    ended = [pool.submit(closing(muting.tidy)) for _ in range(4)]
    assert sum(each.result(20) for each in ended) == 1
    assert set(Item.objects.values_list("state", flat=True)) == {"open"}
    assert Event.objects.filter(action="unmuted").count() == 10
    assert [event.details["did"] for event in muting.history(over)] == ["expired", "made"]
