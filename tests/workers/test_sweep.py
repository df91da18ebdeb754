"""Lost runs come back, waiting runs are announced again, and any number of sweepers may do it."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from django.db import connection
from django.db.models.functions import Now
from django.utils import timezone

from workers import leases, runs
from workers.jobs import LeaseLost
from workers.models import Run
from workers.states import Status


@pytest.fixture
def rung(monkeypatch) -> list:
    """Who was rung for."""
    heard: list = []
    monkeypatch.setattr(leases, "ring", lambda queue, run_id: heard.append(run_id) or True)
    return heard


@pytest.mark.django_db
def test_a_lost_run_is_queued_again_after_a_growing_pause(claim, expire, due, settings) -> None:
    settings.RUN_BACKOFF = 10
    run = runs.enqueue(job="count")
    for attempt, pause in [(1, 10), (2, 20)]:
        due(run)
        claim(run)
        expire(run)
        assert leases.sweep().lost == 1
        run.refresh_from_db()
        assert (run.status, run.attempt, run.lease_until) == (Status.QUEUED, attempt, None)
        assert abs(run.not_before - timezone.now() - timedelta(seconds=pause)) < timedelta(seconds=5)
        assert run.attempts.get(number=attempt).outcome == "lost"


@pytest.mark.django_db
def test_a_run_that_is_lost_too_often_fails(claim, expire, due) -> None:
    run = runs.enqueue(job="count")
    for _ in range(3):
        due(run)
        claim(run)
        expire(run)
        leases.sweep()
    run.refresh_from_db()
    assert run.status == Status.FAILED
    assert "lost" in run.error
    assert run.attempts.count() == 3
    assert run.finished_at


@pytest.mark.django_db
def test_a_lost_run_that_was_to_be_cancelled_is_cancelled(claim, expire) -> None:
    run = runs.enqueue(job="count")
    claim(run)
    runs.cancel(run)
    assert run.status == Status.RUNNING
    expire(run)
    leases.sweep()
    run.refresh_from_db()
    assert run.status == Status.CANCELLED


@pytest.mark.django_db
def test_a_run_with_a_lease_is_left_alone(claim) -> None:
    claim(runs.enqueue(job="count"))
    assert leases.sweep().lost == 0


@pytest.mark.django_db
def test_pauses_between_rings_grow_with_the_wait_up_to_a_limit(rung, settings) -> None:
    settings.RUN_RING_AGAIN = 30

    def waiting(*, since: int, last_ring: int) -> object:
        run = runs.enqueue(job="echo")
        times = {"not_before": Now() - timedelta(seconds=since), "rung_at": Now() - timedelta(seconds=last_ring)}
        Run.objects.filter(pk=run.pk).update(**times)
        return run.pk

    again = {waiting(since=31, last_ring=31), waiting(since=130, last_ring=66), waiting(since=9000, last_ring=301)}
    waiting(since=29, last_ring=29)
    waiting(since=130, last_ring=64)
    waiting(since=9000, last_ring=299)
    assert leases.sweep().rung == 3
    assert set(rung) == again
    assert leases.sweep().rung == 0, "a ring counts as one"


@pytest.mark.django_db
def test_a_run_is_not_announced_before_its_time(claim, expire, due, rung) -> None:
    run = runs.enqueue(job="count")
    claim(run)
    expire(run)
    leases.sweep()
    assert rung == []
    due(run)
    leases.sweep()
    assert rung == [run.pk]


@pytest.mark.django_db(transaction=True)
def test_a_finish_that_outlasts_its_lease_is_not_taken_away(claim, expire) -> None:
    ctx = claim(runs.enqueue(job="count"))
    expire(ctx.run)
    swept = []

    def slow() -> None:
        def sweep() -> None:
            swept.append(leases.sweep().lost)
            connection.close()

        sweeper = threading.Thread(target=sweep)
        sweeper.start()
        sweeper.join(10)

    leases.finish(ctx, slow)
    ctx.run.refresh_from_db()
    assert swept == [0]
    assert ctx.run.status == Status.SUCCEEDED


@pytest.mark.django_db(transaction=True)
def test_many_sweepers_take_a_run_back_once(claim, expire) -> None:
    ctx = claim(runs.enqueue(job="echo"))
    expire(ctx.run)
    swept = []

    def sweep() -> None:
        swept.append(leases.sweep().lost)
        connection.close()

    sweepers = [threading.Thread(target=sweep) for _ in range(4)]
    for sweeper in sweepers:
        sweeper.start()
    for sweeper in sweepers:
        sweeper.join()
    assert sum(swept) == 1
    with pytest.raises(LeaseLost):
        leases.renew(ctx)
