"""What a job sees of its run: everything it reports goes into memory; the heartbeat carries it to the database."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from threading import Lock
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext

from workers import store
from workers.jobs import Cancelled, LeaseLost
from workers.models import Artifact, Line, Run

logger = logging.getLogger("duolog.run")

CHECKPOINT = "checkpoint"
LINE_CHARACTERS = 20_000
LEVELS = {"info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


@dataclass
class News:
    """What happened since the last beat, not yet in the database."""

    lines: list[Line] = field(default_factory=list)
    metrics: dict[tuple[str, int], float] = field(default_factory=dict)
    artifacts: list[Artifact] = field(default_factory=list)
    checkpoint: Artifact | None = None  # only the newest counts


def clean(text: str) -> str:
    """Return text as Postgres takes it: no NUL, and no half characters, which logs read from disk may hold."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}").encode(errors="replace").decode()


class RunContext:
    """The `duolog.plugins.types.Context` of one attempt at one run; safe to use from several threads."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.attempt = run.attempt
        self.stop_reason: Cancelled | LeaseLost | None = None
        self.outage = False  # the database was away during this attempt
        self._lock = Lock()
        self._news = News()
        self._stage, self._total, self._done = "", 0, 0
        self._stage_started_at: datetime | None = None
        self._latest: dict[str, float | None] = {}

    # --- what a job calls ---------------------------------------------------------------------------------------

    def stage(self, name: str, total: int = 0) -> None:
        """Begin a named stage of `total` steps (0: unknown)."""
        self._stage, self._total, self._done, self._stage_started_at = clean(name)[:80], int(total), 0, timezone.now()

    def advance(self, steps: int = 1) -> None:
        """Count finished steps of the stage."""
        self._done += steps

    def metric(self, name: str, value: float, step: int) -> None:
        """Record one point of a curve; a step that is reported twice keeps the later value."""
        name, number = clean(name)[:80], float(value)
        with self._lock:
            self._news.metrics[name, int(step)] = number
            self._latest[name] = number if math.isfinite(number) else None  # JSON knows no NaN

    def log(self, message: str, level: str = "info") -> None:
        """Write one line to the run's log and to the worker's own; `level` is info, warning or error."""
        text = clean(message)[:LINE_CHARACTERS]
        logger.log(LEVELS[level], "run=%s job=%s %s", str(self.run.pk)[:8], self.run.job, text)
        with self._lock:
            self._news.lines.append(Line(run=self.run, attempt=self.attempt, at=timezone.now(), level=level, text=text))

    def checkpoint(self, step: int = 0, save: Callable[[Path], None] | None = None) -> None:
        """Raise Cancelled or LeaseLost if the work must stop; else keep what `save` writes into an empty folder."""
        if self.stop_reason is not None:
            raise self.stop_reason
        if save is None:
            return
        made = self._store(CHECKPOINT, step, save)
        with self._lock:
            self._news.checkpoint = made

    def resume(self) -> tuple[int, Path] | None:
        """Return step and folder of the newest checkpoint of an earlier attempt, or None."""
        if self.attempt == 1:
            return None
        kept = Artifact.objects.filter(run=self.run, name=CHECKPOINT, attempt__lt=self.attempt)
        for artifact in kept.order_by("-attempt", "-step"):
            try:
                place = store.verify(artifact.path, artifact.sha256)
            except store.ArtifactDamaged as error:
                self.log(str(error), "warning")
                continue
            self.log(gettext("resumes from the checkpoint of step %(step)d") % {"step": artifact.step})
            return artifact.step, place
        return None

    def artifact(self, name: str, save: Callable[[Path], None]) -> Artifact:
        """Keep what `save` writes into an empty folder; its row is saved with the run's next write."""
        made = self._store(name, 0, save)
        with self._lock:
            self._news.artifacts.append(made)
        return made

    # --- what the heartbeat and the supervisor call -------------------------------------------------------------

    def stop(self, reason: Cancelled | LeaseLost) -> None:
        """Make the next `checkpoint` raise `reason`."""
        self.stop_reason = self.stop_reason or reason

    def progress(self) -> dict[str, Any]:
        """Return the fields of Run that follow the work."""
        with self._lock:
            latest = dict(self._latest)
        return {
            "stage": self._stage,
            "total": self._total,
            "done": self._done,
            "stage_started_at": self._stage_started_at,
            "latest": latest,
        }

    @contextmanager
    def news(self) -> Iterator[News]:
        """Hand out the news for one transaction; if that fails, they are news again."""
        with self._lock:
            taken, self._news = self._news, News()
        try:
            yield taken
        except BaseException:
            with self._lock:
                newer = self._news
                newer.lines[:0] = taken.lines
                newer.metrics = taken.metrics | newer.metrics
                newer.artifacts[:0] = taken.artifacts
                newer.checkpoint = newer.checkpoint or taken.checkpoint
            raise

    def _store(self, name: str, step: int, save: Callable[[Path], None]) -> Artifact:
        kept = store.write(folder=f"runs/{self.run.pk}/{self.attempt}", name=f"{name}-{step}", save=save)
        return Artifact(
            run=self.run,
            attempt=self.attempt,
            name=name,
            step=step,
            path=kept.path,
            bytes=kept.bytes,
            sha256=kept.sha256,
        )
