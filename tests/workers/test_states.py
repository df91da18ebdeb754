"""Whatever workers, sweepers and people do in any order, a run keeps to its states and has its effect at most once."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db.models.functions import Now
from hypothesis import HealthCheck, settings, strategies
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from workers import leases, runs
from workers.context import RunContext
from workers.jobs import Cancelled, LeaseLost
from workers.models import Run
from workers.states import FINAL, TRANSITIONS, Status


class Life(RuleBasedStateMachine):
    """One run, and every attempt that ever held it, stale ones included."""

    attempts: Bundle[RunContext] = Bundle("attempts")

    def __init__(self) -> None:
        super().__init__()
        self.run = runs.enqueue(job="count")
        self.status, self.attempt, self.cancelled = Status.QUEUED, 0, False
        self.effects = 0

    def becomes(self, status: Status) -> None:
        assert status in TRANSITIONS[self.status]
        self.status = status

    def holds(self, ctx: RunContext) -> bool:
        return self.status == Status.RUNNING and ctx.attempt == self.attempt

    def requeued(self) -> Status:
        if self.cancelled:
            return Status.CANCELLED
        return Status.QUEUED if self.attempt < self.run.max_attempts else Status.FAILED

    @rule(target=attempts)
    def claim(self):
        claimed = leases.claim(self.run.pk, worker="test")
        assert bool(claimed) == (self.status == Status.QUEUED)
        if claimed is None:
            return multiple()
        self.becomes(Status.RUNNING)
        self.attempt += 1
        return RunContext(claimed)

    @rule(ctx=attempts)
    def beat(self, ctx: RunContext) -> None:
        if not self.holds(ctx):
            with pytest.raises(LeaseLost):
                leases.renew(ctx)
        else:
            assert leases.renew(ctx) == self.cancelled

    @rule(ctx=attempts)
    def finish(self, ctx: RunContext) -> None:
        def effect() -> None:
            self.effects += 1

        if not self.holds(ctx) or self.cancelled:
            with pytest.raises(Cancelled if self.holds(ctx) else LeaseLost):
                leases.finish(ctx, effect)
        else:
            leases.finish(ctx, effect)
            self.becomes(Status.SUCCEEDED)

    @rule(ctx=attempts, retry=strategies.booleans())
    def fail(self, ctx: RunContext, retry: bool) -> None:
        if not self.holds(ctx):
            with pytest.raises(LeaseLost):
                leases.end(ctx, Status.FAILED, "broken", retry=retry)
        else:
            expected = self.requeued() if retry else Status.FAILED
            assert leases.end(ctx, Status.FAILED, "broken", retry=retry) == expected
            self.becomes(expected)

    @rule()
    def lose(self) -> None:
        Run.objects.filter(pk=self.run.pk, status=Status.RUNNING).update(lease_until=Now() - timedelta(seconds=1))
        leases.sweep()
        if self.status == Status.RUNNING:
            self.becomes(self.requeued())

    @rule()
    def sweep(self) -> None:
        leases.sweep()

    @rule()
    def cancel(self) -> None:
        runs.cancel(self.run)
        if self.status == Status.QUEUED:
            self.becomes(Status.CANCELLED)
        self.cancelled = self.cancelled or self.status == Status.RUNNING

    @rule(ctx=consumes(attempts))
    def forget(self, ctx: RunContext) -> None:
        """The process is gone for good."""

    @invariant()
    def holds_true(self) -> None:
        self.run.refresh_from_db()
        assert (self.run.status, self.run.attempt) == (self.status, self.attempt)
        assert self.effects == (self.status == Status.SUCCEEDED)
        assert (self.run.finished_at is not None) == (self.status in FINAL)
        assert (self.run.lease_until is not None) == (self.status == Status.RUNNING)
        assert self.run.attempts.count() == self.attempt
        assert self.run.attempts.filter(finished_at=None).count() == (self.status == Status.RUNNING)


@pytest.mark.django_db
def test_a_run_keeps_to_its_states(request: pytest.FixtureRequest, settings: object) -> None:
    settings.RUN_BACKOFF = 0
    run_state_machine_as_test(Life, settings=PROFILE)


PROFILE = settings(max_examples=40, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck))
