"""The steps of the demo, each a Run in a real worker; a key makes each happen once, however often the demo starts."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path
from typing import Any

from django.conf import settings
from django.utils.translation import gettext

from analysis import reports
from analysis.analyst import RULES
from analysis.models import AnomalyReport, Finding
from detection import versions
from detection.models import ModelVersion
from duolog.demo import outage
from duolog.demo.collector import Collector
from duolog.demo.traffic import Traffic, evaluations
from duolog.plugins.types import LogSequence
from duolog.stack import Stack
from logs.files import open_records
from logs.formats.jsonl import Jsonl
from workers.console import perform
from workers.models import Run
from workers.states import Status

GENERATED, QUIET, WATCHED = "demo-shop", "demo-stack-quiet", "demo-stack"
SHOP_MODEL, STACK_MODEL = "demo-shop", "demo-stack"
INCIDENTS, ANALYST, LESSONS, MINUTES = "demo-incidents", "demo-analyst", 2000, 10
WINDOW_SECONDS = 2.0
QUIET_SECONDS = 50  # of everyday use; training is quiet, too, but of another kind, and would make everyday use rare
LEARNED = 400  # sequences of a person's own file to learn from
GOALS = {"accuracy": 0.90, "precision": 0.85, "recall": 0.80, "f1": 0.82}

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Told:
    """A finding in the words of the final table."""

    window: str
    score: float
    cause: str  # key of the fault that explains it; empty: none does
    lines: list[str]
    report: AnomalyReport | None


@dataclass
class Outcome:
    """What the demo ends with."""

    metrics: dict[str, float]
    findings: list[Told] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def missed(self) -> list[str]:
        """Return what falls short of the goals."""
        low = [name for name, goal in GOALS.items() if self.metrics[name] <= goal]
        found = {finding.cause for finding in self.findings}
        return low + [fault for fault in self.faults if fault not in found]


def train_on_generated(tell: Tell) -> tuple[ModelVersion, dict[str, float]]:
    """Generate 8,000 sequences, split, train in two stages, evaluate on the test part, publish as champion."""
    tell(gettext("Generating 8,000 Chinese log sequences of a shop of microservices"))
    perform(job="generate", key="demo", options={"dataset": GENERATED, "count": 8000, "seed": 7})
    tell(gettext("Splitting them 6,400 / 800 / 800"))
    sizes = {"train": 6400, "validation": 800, "test": 800, "seed": 7}
    perform(job="split", key="demo", options={"dataset": GENERATED, **sizes})
    tell(gettext("Training the mixture-of-experts detector in two stages"))
    fitted = perform(
        job="fit-detector", key="demo", options={"dataset": GENERATED, "detector": "moe", "name": SHOP_MODEL}
    )
    tell(gettext("Evaluating on the test part"))
    measured = perform(
        job="evaluate", key="demo", options={"model": fitted.result["model"], "dataset": f"{GENERATED}:test"}
    )
    version = versions.resolve(project="default", ref=fitted.result["model"])
    versions.point(version, versions.CHAMPION, reason=gettext("the demo shows the version that it has just trained"))
    return version, measured.result["metrics"]


def watch_the_stack_break(stack: Stack, collector: Collector, traffic: Traffic, tell: Tell) -> None:
    """Learn the stack's quiet minutes, break it, and scan what it wrote meanwhile."""
    traffic.queue_run = evaluations(f"{SHOP_MODEL}@{versions.CHAMPION}", f"{GENERATED}:test")
    tell(gettext("Watching the stack's own logs for %(seconds)s quiet seconds") % {"seconds": QUIET_SECONDS})
    since = time.time()
    for _ in range(QUIET_SECONDS):
        time.sleep(1)
        stack.tend()
    quiet = collector.windows(since, time.time(), WINDOW_SECONDS)
    tell(gettext("Fitting the labels-free detector on %(count)s quiet windows") % {"count": len(quiet)})
    store(quiet, dataset=QUIET)
    fit_without_labels(dataset=QUIET, name=STACK_MODEL)

    tell(gettext("Breaking the stack for real"))
    started = time.time()
    moments = []
    for moment in outage.break_and_recover(stack, traffic.queue_run):
        if moment:
            moments.append(moment)
            tell(f"  {time.strftime('%H:%M:%S', time.gmtime(moment.at))} {moment.fault.title}")
    watched = collector.windows(started, time.time(), WINDOW_SECONDS)
    store([_with(window, {"cause": _cause(window, moments)}) for window in watched], dataset=WATCHED)
    scan(dataset=WATCHED, model=STACK_MODEL)


def scan_file(path: Path, tell: Tell) -> str:
    """Learn the beginning of a person's own file without labels, and scan the rest; return the rest's dataset.

    A text is cut into windows of 20 lines. The beginning is 400 sequences, or half of a short file.
    """
    with path.open("rb") as stream:
        name = f"demo-{hashlib.file_digest(stream, 'sha256').hexdigest()[:12]}"
    tell(gettext("Reading %(path)s") % {"path": path})
    records = (record for record in open_records(path).records if isinstance(record, LogSequence))
    head = list(islice(records, 2 * LEARNED))
    learned = min(LEARNED, len(head) // 2)
    store(head[:learned], dataset=f"{name}-learned")
    store(chain(head[learned:], records), dataset=name)
    tell(gettext("Learning the first %(count)s sequences without labels, scanning the rest") % {"count": learned})
    fit_without_labels(dataset=f"{name}-learned", name=name)
    scan(dataset=name, model=name)
    return name


def store(windows: Iterable[LogSequence], *, dataset: str) -> None:
    """Import windows by the same way as anybody's file."""
    file = settings.HOME / "demo" / f"{dataset}.jsonl"
    file.parent.mkdir(exist_ok=True)
    with file.open("wb") as stream:
        Jsonl().write(windows, stream)
    perform(job="import-data", key=dataset, options={"path": str(file), "dataset": dataset, "format": "jsonl"})


def fit_without_labels(*, dataset: str, name: str) -> Run:
    """Fit `neighbours` on a dataset."""
    return perform(
        job="fit-detector", key=dataset, options={"dataset": dataset, "detector": "neighbours", "name": name}
    )


def scan(*, dataset: str, model: str) -> Run:
    """Scan a dataset with a model's champion."""
    return perform(job="scan", key=dataset, options={"model": model, "dataset": dataset})


def finetune(tell: Tell) -> str:
    """Fine-tune the local analyst on generated incidents for some minutes, and return its version."""
    tell(gettext("Generating %(count)s incidents with their explanations") % {"count": LESSONS})
    generated = {
        "dataset": INCIDENTS,
        "count": LESSONS,
        "seed": 7,
        "kind": "analysis",
        "options": {"language": "mixed"},
    }
    perform(job="generate", key=INCIDENTS, options=generated)
    perform(job="split", key=INCIDENTS, options={"dataset": INCIDENTS, "seed": 7})
    tell(gettext("Fine-tuning a small language model for at most %(minutes)s minutes") % {"minutes": MINUTES})
    options = {"dataset": INCIDENTS, "name": ANALYST, "options": {"minutes": MINUTES, "epochs": 1.0}}
    return str(perform(job="finetune", key=INCIDENTS, options=options).result["model"])


def explain(dataset: str, analyst: str, tell: Tell) -> None:
    """Have an analyst explain the findings of a dataset: a version, or the rules, which need no training."""
    tell(gettext("Explaining the findings by %(analyst)s") % {"analyst": analyst or RULES})
    numbers = list(Finding.objects.filter(score__sequence__dataset__name=dataset).values_list("pk", flat=True))
    if numbers:
        key = f"{dataset} {analyst or RULES}"
        perform(job="explain", key=key, options={"findings": numbers, "analyst": analyst or RULES})


def findings_of(dataset: str, *, lines: int = 3) -> list[Told]:
    """Return the findings of a dataset, most suspicious lines first within each."""
    rows = Finding.objects.filter(score__sequence__dataset__name=dataset).select_related("score__sequence")
    written = reports.newest(rows)
    told = []
    for finding in rows.order_by("score__sequence__id"):
        sequence, blame = finding.score.sequence, finding.score.blame or []
        order = sorted(range(len(blame)), key=lambda line: -blame[line])[:lines]
        told.append(
            Told(
                window=sequence.key,
                score=finding.score.value,
                cause=sequence.meta.get("cause", ""),
                lines=[sequence.entries[line] for line in order],
                report=written.get(finding.pk),
            )
        )
    return told


def was_told() -> bool:
    """Tell whether an earlier start of the demo already broke the stack and scanned it."""
    return Run.objects.filter(job="scan", key=WATCHED, status=Status.SUCCEEDED).exists()


def _cause(window: LogSequence, moments: list[outage.Moment]) -> str:
    explaining = [m.fault.key for m in moments if m.explains(window.times[0], window.times[-1] + WINDOW_SECONDS)]
    return explaining[-1] if explaining else ""


def _with(window: LogSequence, meta: dict[str, Any]) -> LogSequence:
    return LogSequence(window.id, window.entries, times=window.times, meta=meta)
