"""Those who judge, report and find come to the same item at once, and none waits for another for ever."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection, transaction
from reviewing import blind, opened, person

from analysis import findings, reports, review
from analysis.cases import build
from analysis.models import Finding, Item, Verdict
from analysis.reports import Written
from analysis.review import Said
from detection.models import Score
from workers.jobs import Conflict
from workers.models import Run

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as made:
        yield made


def alone(work: Callable[[], Any]) -> Any:
    """Do it in a transaction of this thread's own connection."""
    try:
        with transaction.atomic():
            return work()
    finally:
        connection.close()


def waits() -> bool:
    """Whether a transaction of another connection waits for a lock."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)")
        return bool(cursor.fetchone()[0])


def beside_a_verdict(work: Callable[[], Any], item: Item, pool: ThreadPoolExecutor, until: Any) -> Future[Any]:
    """Begin work while somebody's verdict has the item, and settle that once the work waits for it."""
    with transaction.atomic():
        Item.objects.select_for_update(no_key=True).get(pk=item.pk)
        working = pool.submit(alone, work)
        until(waits)
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL lock_timeout = '5s'")
        review.judge(user=person("ada"), item=item, said=Said(True))
    return working


def test_a_report_is_kept_beside_a_verdict(pool: ThreadPoolExecutor, until: Any) -> None:
    opened(["order 17 failed"])
    (case,) = build(project="mine", findings=list(Finding.objects.all()))
    run = Run.objects.create(project="mine", job="explain")
    chosen: Any = type("Chosen", (), {"name": "rules", "version": None})()
    written = Written(case, "key", error="no report")
    beside_a_verdict(lambda: reports.keep([written], chosen=chosen, run=run), Item.objects.get(), pool, until).result(
        20
    )
    assert Finding.objects.get().state == "confirmed"
    assert Finding.objects.get().reports.count() == 1


def test_a_scan_finds_it_again_beside_a_verdict(pool: ThreadPoolExecutor, until: Any) -> None:
    opened(["order 17 failed"])
    old = Score.objects.get()
    old.scan.pk, old.scan._state.adding, old.scan.run = None, True, None
    old.scan.save()
    again = Score.objects.create(scan=old.scan, sequence=old.sequence, value=0.95, anomalous=True, blame=old.blame)
    beside_a_verdict(lambda: findings.open_for(again.scan_id), Item.objects.get(), pool, until).result(20)
    assert set(Finding.objects.values_list("state", flat=True)) == {"confirmed"}


def test_of_two_last_verdicts_one_counts(pool: ThreadPoolExecutor) -> None:
    opened(["order 17 failed"])
    blind(1)
    item = Item.objects.get()
    people = [person(f"p{number}") for number in range(4)]

    def say(number: int) -> bool:
        try:
            alone(lambda: review.judge(user=people[number], item=item, said=Said(bool(number % 2))))
        except Conflict:
            return False
        return True

    assert sum(pool.map(say, range(4))) == Verdict.objects.count() == 1
    assert Item.objects.get().state == ("confirmed" if Verdict.objects.get().anomalous else "dismissed")
