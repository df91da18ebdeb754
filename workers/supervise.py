"""Execute one attempt at a run in this process: claim, heartbeat, work, and an end that is written exactly once."""

from __future__ import annotations

import logging
import os
import socket
import time
import traceback
from collections.abc import Callable
from functools import partial
from threading import Event, Thread
from typing import TypeVar
from uuid import UUID

from django.conf import settings
from django.db import InterfaceError, OperationalError, connection
from django.utils.translation import gettext

from duolog.plugins.options import OptionsError, build
from workers import jobs, leases, store
from workers.context import RunContext, clean
from workers.jobs import Cancelled, Finish, JobFailed, LeaseLost
from workers.states import Status

logger = logging.getLogger("duolog.run")

CONNECTION_LOST = (OperationalError, InterfaceError)
RETRY_SECONDS = 0.2
EXIT_STOPPED = 75  # EX_TEMPFAIL: the work may be tried again elsewhere

T = TypeVar("T")


def execute(run_id: UUID | str, *, worker: str = "") -> None:
    """Try the run once, if it is due and nobody else has it.

    Nothing is raised: what goes wrong is written to the run, or left to the sweeper where the run is not ours to
    write to.
    """
    name = f"{worker or socket.gethostname()}:{os.getpid()}"
    run = patiently(lambda: leases.claim(run_id, worker=name))
    if run is None:
        return
    ctx = RunContext(run)
    started = time.monotonic()
    _say(ctx, f"starts, attempt {run.attempt} of {run.max_attempts}")
    try:
        status = _attempt(ctx)
    except LeaseLost:
        store.prune(run.pk, run.attempt)
        _say(ctx, f"attempt {run.attempt} is refused: the run belongs to another by now")
    except CONNECTION_LOST as error:
        _say(ctx, f"attempt {run.attempt} cannot be written and is left to the sweeper: {error}")
    else:
        _say(ctx, f"attempt {run.attempt} ends, run is {status} after {time.monotonic() - started:.2f} s")


def _attempt(ctx: RunContext) -> Status:
    """Work and write the end; raises LeaseLost, or CONNECTION_LOST when the database stays away."""
    retry_on: tuple[type[Exception], ...] = CONNECTION_LOST
    with _Heartbeat(ctx) as heartbeat:
        try:
            spec = jobs.find(ctx.run.job)
            retry_on += spec.retry_on
            effect = spec.cls().run(build(spec.options, ctx.run.options), ctx)
            ctx.checkpoint()
            heartbeat.stop()  # from here on the transaction holds the run's row
            patiently(partial(_finish, ctx, effect))
        except LeaseLost:
            raise
        except Cancelled:
            status, error, retry = Status.CANCELLED, "", False
        except (JobFailed, OptionsError) as failure:
            status, error, retry = Status.FAILED, str(failure), False
            ctx.log(error, "error")
        except Exception as failure:  # noqa: BLE001 - the one place that ends a run, whatever went wrong
            # What the job prepared on its connection (a temporary table, say) went with it: then any error is
            # the outage's.
            retry = ctx.outage or isinstance(failure, retry_on)
            status, error = Status.FAILED, f"{type(failure).__name__}: {failure}"
            ctx.log("".join(traceback.format_exception(failure)).rstrip(), "error")
        else:
            return Status.SUCCEEDED
        heartbeat.stop()
    return patiently(lambda: leases.end(ctx, status, clean(error), retry=retry))


def _finish(ctx: RunContext, effect: Finish | None) -> None:
    try:
        leases.finish(ctx, effect)
    except CONNECTION_LOST:
        ctx.outage = True
        raise


def patiently(write: Callable[[], T]) -> T:
    """Repeat a write or read while the database is away, for as long as a lease lasts.

    Where only the answer to a commit was lost, the repetition finds the run no longer ours, and is refused.
    """
    deadline = time.monotonic() + settings.RUN_LEASE
    while True:
        try:
            return write()
        except CONNECTION_LOST as error:
            connection.close()
            if time.monotonic() > deadline:
                raise
            logger.warning("the database does not answer, trying again: %s", error)
            time.sleep(RETRY_SECONDS)


def _say(ctx: RunContext, message: str) -> None:
    logger.info("run=%s job=%s %s", str(ctx.run.pk)[:8], ctx.run.job, message)


class _Heartbeat(Thread):
    """Renews the lease and saves the news from a connection of its own; ends the process when it must."""

    def __init__(self, ctx: RunContext) -> None:
        super().__init__(name=f"heartbeat-{ctx.run.pk}", daemon=True)
        self._ctx = ctx
        self._halt = Event()

    def __enter__(self) -> _Heartbeat:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Beat no more; returns when the last beat is over."""
        self._halt.set()
        self.join()

    def run(self) -> None:
        """Beat until told to stop."""
        asked: float | None = None
        while not self._halt.wait(settings.RUN_HEARTBEAT):
            try:
                if leases.renew(self._ctx):
                    self._ctx.stop(Cancelled())
            except LeaseLost as lost:
                self._ctx.stop(lost)
            except CONNECTION_LOST as error:
                # The lease may still be ours when the database is back: while it is away nobody can take it.
                self._ctx.outage = True
                connection.close()
                _say(self._ctx, f"the heartbeat finds no database, trying again: {error}")
            if self._ctx.stop_reason is not None:
                asked = asked or time.monotonic()
                if time.monotonic() - asked >= settings.RUN_CANCEL_GRACE:
                    self._end_process()
        connection.close()

    def _end_process(self) -> None:
        """The job does not look at `checkpoint`, and Python cannot stop a thread: only the process can end."""
        _say(self._ctx, "does not stop when asked, so its process ends")
        try:
            leases.end(self._ctx, Status.CANCELLED, gettext("stopped by force: the job did not react"))
        except (LeaseLost, *CONNECTION_LOST) as error:
            _say(self._ctx, f"its end is left to the sweeper: {error!r}")
        os._exit(EXIT_STOPPED)
