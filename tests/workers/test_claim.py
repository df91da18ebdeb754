"""Exactly one worker gets a run, however many hear the ring."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier

import pytest
from django.db import connection
from django.db.models.functions import Now
from django.utils import timezone

from workers import leases, runs
from workers.models import Run
from workers.states import Status


@pytest.mark.django_db(transaction=True)
def test_of_many_workers_that_claim_at_once_one_wins() -> None:
    hands = 4
    for _ in range(10):
        run, barrier = runs.enqueue(job="echo"), Barrier(hands)

        def claim(number: int, run: Run = run, barrier: Barrier = barrier) -> Run | None:
            try:
                connection.ensure_connection()
                barrier.wait()
                return leases.claim(run.pk, worker=str(number))
            finally:
                connection.close()

        with ThreadPoolExecutor(hands) as pool:
            won = [claimed for claimed in pool.map(claim, range(hands)) if claimed]
        assert len(won) == 1
        assert run.attempts.count() == 1


@pytest.mark.django_db
def test_a_claim_starts_the_lease_and_the_attempt(settings) -> None:
    run = leases.claim(runs.enqueue(job="echo").pk, worker="cpu@host")
    assert run is not None
    assert (run.status, run.attempt) == (Status.RUNNING, 1)
    assert abs(run.lease_until - timezone.now() - timedelta(seconds=settings.RUN_LEASE)) < timedelta(seconds=5)
    assert run.attempts.get().worker == "cpu@host"


@pytest.mark.django_db
@pytest.mark.parametrize("status", [Status.RUNNING, Status.SUCCEEDED, Status.FAILED, Status.CANCELLED])
def test_only_a_queued_run_is_claimed(status: Status) -> None:
    run = runs.enqueue(job="echo")
    Run.objects.filter(pk=run.pk).update(status=status)
    assert leases.claim(run.pk, worker="test") is None


@pytest.mark.django_db
def test_a_run_is_not_claimed_before_its_time() -> None:
    run = runs.enqueue(job="echo")
    Run.objects.filter(pk=run.pk).update(not_before=Now() + timedelta(minutes=1))
    assert leases.claim(run.pk, worker="test") is None
