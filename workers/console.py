"""Runs from the command line: left to a worker where one lives, executed here otherwise, watched either way."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from threading import Thread
from typing import Any

import msgspec
from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection, connections
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from duolog.plugins.options import OptionsError
from duolog.plugins.registry import PluginError
from workers import leases, runs, supervise
from workers.jobs import JobFailed
from workers.models import Run, Worker
from workers.states import FINAL, Status
from workers.store import ArtifactDamaged

LOOK_SECONDS = 0.2
MIGRATE_LOCK = 0x6475_6F6C  # "duol": one migration at a time


def perform(
    *, job: str, options: Any = None, project: str = "default", key: str | None = None, wait: bool = True
) -> Run:
    """Queue a run and see it through, with what follows it.

    Where a live worker serves the queue the run is its work; otherwise it is executed in this process, on a thread,
    with the same claim, lease and fence. Ctrl-C cancels the run. With `wait=False` the run is returned as queued.
    Raises CommandError when the options do not fit or the run does not succeed.
    """
    try:
        run = runs.enqueue(job=job, options=options, project=project, key=key)
    except (JobFailed, OptionsError) as error:
        raise CommandError(str(error)) from error
    if not wait:
        return run
    _finish(run)
    return run


def _finish(run: Run) -> None:
    """See the run through, and then those that follow it: a scan is done when its findings are open."""
    with _Watch() as watch:
        while run.status not in FINAL:
            try:
                _see_through(run, watch)
            except KeyboardInterrupt:
                if run.cancel_at is not None:  # pressed twice: leave now, the sweeper cleans up
                    raise
                runs.cancel(run)
        watch.show(run)
    if run.status == Status.FAILED:
        raise CommandError(run.error)
    if run.status == Status.CANCELLED:
        raise CommandError(gettext("the run was cancelled"), returncode=130)
    for follower in Run.objects.filter(project=run.project, key=runs.follow_key(run)):
        _finish(follower)


def _see_through(run: Run, watch: _Watch) -> None:
    """Watch until the run ends, and give it a thread of this process whenever no worker would take it."""
    here: Thread | None = None
    swept = time.monotonic()
    while run.status not in FINAL:
        waits = run.status == Status.QUEUED and run.not_before <= timezone.now()
        if waits and here is None and not served(run.queue):
            here = Thread(target=_execute, args=[run], daemon=True)
            here.start()
        if time.monotonic() - swept > settings.RUN_SWEEP:  # there may be no sweeper either
            leases.sweep()
            swept = time.monotonic()
        if here is None:
            time.sleep(LOOK_SECONDS)
        else:
            here.join(LOOK_SECONDS)
            here = here if here.is_alive() else None
        supervise.patiently(run.refresh_from_db)
        watch.show(run)


def _execute(run: Run) -> None:
    try:
        supervise.execute(run.pk)
    finally:
        connections.close_all()


def served(queue: str) -> bool:
    """Tell whether a live worker takes work from a queue."""
    return Worker.objects.alive().filter(queues__contains=[queue]).exists()


class _Watch:
    """One progress bar a stage, on stderr when that is a terminal."""

    def __init__(self) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            disable=not sys.stderr.isatty(),
        )
        self._stage, self._bar = "", TaskID(-1)

    def __enter__(self) -> _Watch:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def show(self, run: Run) -> None:
        """Draw where the run is."""
        if not run.stage:
            return
        if run.stage != self._stage:
            self._stage, self._bar = run.stage, self._progress.add_task(run.stage, total=None)
        self._progress.update(self._bar, total=run.total or None, completed=run.done)


class DuologCommand(BaseCommand):
    """A command on one project's data, with `--json` for programs; brings the embedded database up to date first."""

    requires_system_checks = ()  # they import every page and address of the web site, which takes seconds

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        """Add the options that all commands share."""
        parser = super().create_parser(prog_name, subcommand, **kwargs)
        parser.add_argument("--project", default="default", help=str(_("slug of the project (default: %(default)s)")))
        parser.add_argument("--json", action="store_true", help=str(_("print one JSON object for programs")))
        return parser

    def execute(self, *args: Any, **options: Any) -> str | None:
        """Migrate the embedded database if it is behind, then run the command; expected failures end it with code 1."""
        if settings.SERVICES.owns_postgres:
            _migrate()
        try:
            return super().execute(*args, **options)
        except (JobFailed, OptionsError, PluginError, ArtifactDamaged) as error:
            raise CommandError(str(error)) from error

    def reply(self, values: Mapping[str, Any], text: str, *, json: bool) -> None:
        """Print what came out: one JSON object for programs, else the text for people."""
        self.stdout.write(msgspec.json.encode(values).decode() if json else text)


def _migrate() -> None:
    executor = MigrationExecutor(connection)
    if not executor.migration_plan(executor.loader.graph.leaf_nodes()):
        return
    with connection.cursor() as cursor:
        # The race: two commands on a fresh home. The second waits here, and then finds nothing to do.
        cursor.execute("SELECT pg_advisory_lock(%s)", [MIGRATE_LOCK])
        try:
            call_command("migrate", verbosity=0, interactive=False)
        finally:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [MIGRATE_LOCK])
