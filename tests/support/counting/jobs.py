"""Jobs that count slowly, fail on demand, and leave an effect that can be counted."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from logs.models import Dataset, Project, QuarantinedRow
from workers.context import RunContext
from workers.jobs import Finish, Job, JobFailed, job


@dataclass(frozen=True)
class CountOptions:
    """Count to `to`; keep a checkpoint and log a line at each step; pass `deaf` to ignore a cancel."""

    to: int = 3
    seconds: float = 0.0  # a step
    checkpoints: bool = True
    deaf: bool = False


def effects(run_id: Any) -> int:
    """How often the domain effect of a run was written: 1, or something is wrong."""
    return QuarantinedRow.objects.filter(file=str(run_id)).count()


@job("count", retry_on=(ConnectionError,))
class Count(Job[CountOptions]):
    """Counts; its effect is one row without any uniqueness, so that a second one would show."""

    def run(self, options: CountOptions, ctx: RunContext) -> Finish:
        resumed = ctx.resume()
        counted = int((resumed[1] / "counted").read_text()) if resumed else 0
        began_at = counted
        ctx.stage("count", options.to)
        ctx.advance(counted)
        while counted < options.to:
            time.sleep(options.seconds)
            counted += 1
            ctx.advance()
            ctx.log(f"counted {counted}")
            ctx.metric("counted", counted, counted)
            if options.checkpoints:
                ctx.checkpoint(counted, partial(_write, counted))
            elif not options.deaf:
                ctx.checkpoint()

        def finish() -> Mapping[str, Any]:
            project, _ = Project.objects.get_or_create(slug="effects", defaults={"name": "effects"})
            dataset, _ = Dataset.objects.get_or_create(project=project, name="effects")
            QuarantinedRow.objects.create(dataset=dataset, file=str(ctx.run.pk), row=ctx.attempt, reason="", excerpt="")
            return {"counted": counted, "began_at": began_at, "attempt": ctx.attempt}

        return finish


def _write(counted: int, folder: Path) -> None:
    (folder / "counted").write_text(str(counted))


@dataclass(frozen=True)
class FailOptions:
    """Raise `error` as often as `times` says."""

    error: str = "JobFailed"
    times: int = 99


ERRORS = {"JobFailed": JobFailed, "ConnectionError": ConnectionError, "ZeroDivisionError": ZeroDivisionError}


@job("fail", retry_on=(ConnectionError,))
class Fail(Job[FailOptions]):
    """Fails on demand."""

    def run(self, options: FailOptions, ctx: RunContext) -> Finish | None:
        if ctx.attempt <= options.times:
            raise ERRORS[options.error]("asked to fail")
        return None


@dataclass(frozen=True)
class EchoOptions:
    """What to give back."""

    text: str = ""


@job("echo")
class Echo(Job[EchoOptions]):
    """Returns its options."""

    def run(self, options: EchoOptions, ctx: RunContext) -> Finish:
        return lambda: {"text": options.text}


@job("after-echo", follows="echo")
class AfterEcho(Job[EchoOptions]):
    """Follows echo, unless there was nothing to hear."""

    def follow(self, result: Mapping[str, Any]) -> Mapping[str, Any] | None:
        return {"text": f"heard {result['text']}"} if result["text"] else None

    def run(self, options: EchoOptions, ctx: RunContext) -> Finish:
        return lambda: {"text": options.text}
