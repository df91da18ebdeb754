"""Whether cost grows with the number of sequences and no faster: `python benchmarks/scaling.py --help`.

Engine: one process scores a stream of sequences of `--lines` real lines each, a batch of a scan at a time, and notes
its processor time at each power of ten. The stream does not repeat its sequences. `slope` is the time a sequence
takes in the last decade beside that in the first one: 1 is a straight line. `growth` is what the process took in memory
after the first decade.

Queue: a scan of stored sequences by a real worker, asked for as anybody asks, beside the same detector on the same
sequences in this process, in turns. `queue_overhead` is what a scan takes beyond that: claiming, reading from Postgres,
writing scores by COPY, telling. The two are wall clock, so the machine should be idle.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "platform"), str(ROOT)]
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as in duolog.settings; before torch is imported

import numpy as np  # noqa: E402

if TYPE_CHECKING:
    from duolog.plugins.types import LogSequence

BATCH = 1024
GOALS = {"slope": 1.1, "queue_overhead": 0.05}
LEARNED = 600
"""Sequences that the small model is trained on; what it learns does not matter here."""


def stream(count: int, lines: int, seed: int) -> Iterator[list[LogSequence]]:
    """Yield batches of sequences of lines drawn from a real mix of logs."""
    from real import mix

    from duolog.plugins.types import LogSequence

    pool = np.array([line for one in mix(20_000) for line in one.entries], object)
    random = np.random.default_rng(seed)
    for start in range(0, count, BATCH):
        size = min(BATCH, count - start)
        drawn = pool[random.integers(len(pool), size=(size, lines))]
        yield [
            LogSequence(f"s{start + number}", tuple(row), int(random.random() < 0.1))
            for number, row in enumerate(drawn)
        ]


def engine(largest: int, lines: int) -> dict[str, float]:
    """Measure the stream, print a row for each power of ten, and return `slope` and `growth` (MiB)."""
    from detection.detectors.moe import Moe
    from detection.encoders.bert import Bert
    from detection.engine.config import MoEOptions
    from detection.engine.vectors import VectorStore
    from duolog.plugins.types import NullContext

    quiet, store = NullContext(), VectorStore(Bert())
    train = next(iter(stream(LEARNED, lines, 1)))
    detector = Moe(MoEOptions(epochs=1))
    detector.fit(train, [], store, quiet)
    for batch in stream(20_480, lines, 2):  # whatever line the mix has is encoded before the clock starts
        store.index(batch, quiet)
    print(f"{'sequences':>12}{'seconds':>10}{'µs each':>10}{'MiB':>8}", flush=True)
    marks = [10**power for power in range(4, 9) if 10**power <= largest]
    told: list[tuple[int, float, float]] = []
    done, spent = 0, 0.0
    for batch in stream(marks[-1], lines, 3):
        began = time.process_time()
        detector.score(batch, store, quiet)
        spent += time.process_time() - began
        done += len(batch)
        if done >= marks[len(told)]:
            told.append((done, spent, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024))
            print(f"{done:>12,}{spent:>10.1f}{spent / done * 1e6:>10.1f}{told[-1][2]:>8.0f}", flush=True)
    (first, spent_first, memory), (last, spent_last, most) = told[0], told[-1]
    before, spent_before, _ = told[-2] if len(told) > 1 else (0, 0.0, 0.0)
    slope = (spent_last - spent_before) / (last - before) / (spent_first / first)
    return {"slope": slope, "growth_mib": most - memory}


def queue(count: int, rounds: int) -> dict[str, float]:
    """Measure scans by a worker beside the detector alone; return `queue_overhead` and the seconds of either."""
    import django

    django.setup()
    from django.conf import settings
    from django.core.management import call_command
    from django.db import transaction

    from detection import scan, versions
    from duolog.plugins.types import NullContext
    from duolog.stack import Stack
    from logs import datasets, ingest
    from logs.models import Label
    from workers import runs
    from workers.models import Run
    from workers.states import Status

    def wait(run: Run) -> Run:
        while run.status in (Status.QUEUED, Status.RUNNING):
            time.sleep(0.02)
            run.refresh_from_db()
        if run.status != Status.SUCCEEDED:
            sys.exit(f"{run.job}: {run.error}")
        return run

    quiet = NullContext()
    with settings.SERVICES.hold():
        call_command("migrate", verbosity=0)
        with Stack().running():
            for name, size in (("learn", LEARNED), ("many", count)):
                dataset = datasets.get_or_create(project="default", name=name)
                made = (one for batch in stream(size, 20, size) for one in batch)
                staged = ingest.stage(made, source=Label.Source.IMPORT, origin=name, ctx=quiet)
                with transaction.atomic():
                    staged.commit(dataset, Run.objects.create(job="import-data", status=Status.SUCCEEDED))
            wait(runs.enqueue(job="split", options={"dataset": "learn", "train": 400, "validation": 100, "test": 100}))
            wait(runs.enqueue(job="fit-detector", options={"dataset": "learn", "options": {"epochs": 1}}))
            version = versions.resolve(project="default")
            loaded = versions.load(version)
            sequences = list(datasets.read(datasets.resolve(project="default", ref="many")[0]))
            found: dict[str, list[float]] = {"scan": [], "alone": []}
            for turn in range(rounds + 1):
                began = time.perf_counter()
                wait(runs.enqueue(job="scan", options={"dataset": "many", "model": str(version)}))
                took = time.perf_counter() - began
                began = time.perf_counter()
                for batch in scan.batches(sequences, scan.BATCH):
                    scan.score_batch(loaded, batch, quiet)
                if turn:  # in the first one both load the model and fill their caches
                    found["scan"].append(took)
                    found["alone"].append(time.perf_counter() - began)
    print(f"{'scan of ' + format(count, ','):>24}{'seconds':>10}")
    for name, seconds in found.items():
        print(f"{name:>24}{statistics.median(seconds):>10.2f}  {', '.join(f'{each:.2f}' for each in seconds)}")
    ratios = [theirs / mine for theirs, mine in zip(found["scan"], found["alone"], strict=True)]
    return {"queue_overhead": statistics.median(ratios) - 1}


def main() -> int:
    """Measure, print tables, and tell by the exit code whether the goals are met."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--largest", type=int, default=100_000, help="sequences of the stream (default 100000)")
    parser.add_argument("--lines", type=int, default=5, help="lines of a sequence of the stream (default 5)")
    parser.add_argument("--stored", type=int, default=20_000, help="sequences of the scan (default 20000; 0: no scan)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true", help="end with one JSON object")
    options = parser.parse_args()
    measured: dict[str, Any] = engine(options.largest, options.lines)
    if options.stored:
        with tempfile.TemporaryDirectory(prefix="duolog-benchmark-") as place:
            os.environ |= {
                "DUOLOG_HOME": f"{place}/home",
                "DJANGO_SETTINGS_MODULE": "duolog.settings",
                "PYTHONPATH": os.pathsep.join([str(ROOT / "platform"), str(ROOT)]),
            }
            measured |= queue(options.stored, options.rounds)
    figures = {
        name: {"figure": round(value, 4)}
        | ({"goal": GOALS[name], "met": value <= GOALS[name]} if name in GOALS else {})
        for name, value in measured.items()
    }
    for name, row in figures.items():
        goal = f"  goal {row['goal']:g}: {'met' if row['met'] else 'MISSED'}" if "goal" in row else ""
        print(f"{name:<20}{row['figure']:>10.4g}{goal}")
    if options.json:
        print(json.dumps(figures))
    return 0 if all(row.get("met", True) for row in figures.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
