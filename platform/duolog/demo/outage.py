"""Break the running stack for real, one service at a time, and let it come back by itself."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from django.conf import settings
from django.db import OperationalError, connection
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from duolog.stack import Stack

PAUSE_SECONDS = 16
AFTERMATH_SECONDS = 10


@dataclass(frozen=True)
class Fault:
    """One way to break the stack."""

    key: str
    title: str | Promise
    strike: Callable[[Stack], None]


@dataclass(frozen=True)
class Moment:
    """A fault, and when it struck (Unix seconds)."""

    fault: Fault
    at: float

    def explains(self, since: float, until: float) -> bool:
        """Tell whether a window shows the fault or its aftermath."""
        return until >= self.at and since <= self.at + AFTERMATH_SECONDS


def _kill_postgres_backend(stack: Stack) -> None:
    """Postgres answers a killed backend by dropping every connection and recovering from its log."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() "
            "ORDER BY application_name LIKE 'duolog-worker%%' DESC, backend_start DESC LIMIT 1"
        )
        (pid,) = cursor.fetchone()
    os.kill(pid, signal.SIGKILL)
    connection.close()


def _restart_valkey(stack: Stack) -> None:
    settings.SERVICES.restart_valkey()


def _kill_worker(stack: Stack) -> None:
    """The one that executes the run, pool included; the stack starts another, and the sweeper hands the run on."""
    os.killpg(stack.children["worker-infer"].pid, signal.SIGKILL)


def faults() -> list[Fault]:
    """Return what can be broken here: services of others are left alone."""
    postgres = Fault("postgres", _("kill -9 of a Postgres backend"), _kill_postgres_backend)
    valkey = Fault("valkey", _("restart of Valkey"), _restart_valkey)
    worker = Fault("worker", _("kill -9 of a worker"), _kill_worker)
    services = settings.SERVICES
    return [*([postgres] if services.owns_postgres else []), *([valkey] if services.owns_valkey else []), worker]


def break_and_recover(stack: Stack, before: Callable[[], object]) -> Iterator[Moment | None]:
    """Yield each fault as it happens, and None every second in between; `before` puts a run on its way."""
    yield from _wait(stack)
    for fault in faults():
        before()
        time.sleep(1)  # into the middle of that run
        at = time.time()
        fault.strike(stack)
        yield Moment(fault, at)
        yield from _wait(stack)


def _wait(stack: Stack) -> Iterator[None]:
    for _second in range(PAUSE_SECONDS):
        time.sleep(1)
        try:
            stack.tend()
        except OperationalError:  # the database is still recovering
            connection.close()
        yield None
