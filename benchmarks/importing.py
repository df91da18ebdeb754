"""How fast files get into Postgres, beside pandas reading them: `python benchmarks/importing.py --help`.

Both read the same file, in turns, each time in a process of its own whose peak memory is measured. Ours is the whole
import: parse, check, COPY, insert with keys and labels, commit, into an embedded Postgres that is empty each time. The
peer only reads, into a frame in memory: `pandas.read_json(lines=True)`, or `read_csv` and the lists of lines from the
JSON in their column. Start-up is left out of both.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
GOALS = {"speed": 0.25, "memory": 1.0}

OURS = """
import resource, sys, time
import django
django.setup()
from django.db import transaction
from duolog.plugins.types import NullContext
from logs import datasets, ingest
from logs.files import open_records
from logs.models import Label
from workers.models import Run
def load(path, name):
    staged = ingest.stage(open_records(path).records, source=Label.Source.IMPORT, origin="x", ctx=NullContext())
    with transaction.atomic():
        return staged.commit(datasets.get_or_create(project="default", name=name), Run.objects.create(job="x"))
load(sys.argv[2], "warm")
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
began = time.perf_counter()
count = load(sys.argv[1], sys.argv[3])["sequences"]
"""
PEER = """
import json, resource, sys, time
import pandas
def load(path, name):
    if path.endswith(".jsonl"):
        return pandas.read_json(path, lines=True)
    frame = pandas.read_csv(path)
    frame["log_entries"] = frame["log_entries"].map(json.loads)
    return frame
load(sys.argv[2], "warm")
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
began = time.perf_counter()
count = len(load(sys.argv[1], sys.argv[3]))
"""
TELL = """
seconds = time.perf_counter() - began
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
import json
print(json.dumps({"count": count, "seconds": seconds, "peak": peak / 1024, "growth": (peak - before) / 1024}))
"""


def rows(count: int, seed: int) -> Iterator[dict[str, Any]]:
    """Yield sequences of 6 to 15 lines, in two languages, as the generator's are."""
    chance = random.Random(seed)
    words = ("创建订单", "库存不足，稍后重试", "connection to db-1 timed out", "GET /api/orders 200", "支付回调成功")
    for number in range(count):
        lines = [
            f"2026-11-23 19:{n:02d}:{chance.randrange(60):02d}.{chance.randrange(1000):03d} INFO order-service "
            f"trace={chance.getrandbits(64):016x} {chance.choice(words)} userId={chance.randrange(10**6)}"
            for n in range(chance.randint(6, 15))
        ]
        yield {"sequence_id": f"seq_{number}", "label": number % 2, "length": len(lines), "log_entries": lines}


def write(file: Path, count: int, seed: int) -> None:
    """Write the same sequences as JSON lines, or as the CSV that `export` makes."""
    sys.path[:0] = [str(ROOT / "platform"), str(ROOT)]
    from duolog.plugins.types import LogSequence
    from logs.formats.jsonl import Jsonl
    from logs.formats.table import Csv

    made = (LogSequence(row["sequence_id"], tuple(row["log_entries"]), row["label"]) for row in rows(count, seed))
    with file.open("wb") as stream:
        (Jsonl() if file.suffix == ".jsonl" else Csv()).write(made, stream)


def measure(code: str, *arguments: str) -> dict[str, float]:
    """Run a reader in its own process and return what it tells."""
    done = subprocess.run(
        [sys.executable, "-c", code + TELL, *arguments], capture_output=True, text=True, check=False, cwd=ROOT
    )
    if done.returncode:
        sys.exit(done.stderr)
    told: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return told


def compare(kind: str, folder: Path, options: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """Measure one format, print its rows of the table, and return its figures."""
    large, small = folder / f"large.{kind}", folder / f"small.{kind}"
    write(large, options.sequences, options.seed)
    write(small, 200, options.seed + 1)
    found: dict[str, list[dict[str, float]]] = {"ours": [], "pandas": []}
    for turn in range(options.rounds):
        found["ours"].append(measure(OURS, str(large), str(small), f"{kind}-{turn}"))
        found["pandas"].append(measure(PEER, str(large), str(small), ""))
    assert {each["count"] for told in found.values() for each in told} == {options.sequences}
    for name, told in found.items():
        rates = [each["count"] / each["seconds"] for each in told]
        peak, growth = (statistics.median(each[key] for each in told) for key in ("peak", "growth"))
        what = {"ours": "import into Postgres", "pandas": "pandas, into memory"}[name]
        rounds = ", ".join(f"{rate:,.0f}" for rate in rates)
        print(f"{kind:<7}{what:<24}{statistics.median(rates):>12,.0f}{peak:>12,.0f}{growth:>12,.0f}  {rounds}")
    pairs = list(zip(found["ours"], found["pandas"], strict=True))
    speed = statistics.median(theirs["seconds"] / mine["seconds"] for mine, theirs in pairs)
    memory = statistics.median(mine["growth"] / theirs["growth"] for mine, theirs in pairs)
    return {
        f"{kind}_speed_ratio": {"figure": round(speed, 3), "goal": GOALS["speed"], "met": speed >= GOALS["speed"]},
        f"{kind}_memory_ratio": {"figure": round(memory, 3), "goal": GOALS["memory"], "met": memory <= GOALS["memory"]},
    }


def main() -> int:
    """Measure, print a table, and tell by the exit code whether the goals are met."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sequences", type=int, default=20_000, help="in each file (default 20000, 25 MB)")
    parser.add_argument("--rounds", type=int, default=2, help="turns of either (default 2)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="end with one JSON object")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="duolog-benchmark-") as place:
        os.environ |= {
            "DUOLOG_HOME": f"{place}/home",
            "DJANGO_SETTINGS_MODULE": "duolog.settings",
            "PYTHONPATH": os.pathsep.join([str(ROOT / "platform"), str(ROOT)]),
        }
        sys.path[:0] = [str(ROOT / "platform"), str(ROOT)]
        import django

        django.setup()
        from django.conf import settings
        from django.core.management import call_command

        print(f"{'file':<7}{'path':<24}{'sequences/s':>12}{'peak MiB':>12}{'growth MiB':>12}  rounds")
        figures: dict[str, dict[str, Any]] = {}
        with settings.SERVICES.hold():
            call_command("migrate", verbosity=0)
            for kind in ("jsonl", "csv"):
                figures |= compare(kind, Path(place), options)
    for name, row in figures.items():
        print(f"{name:<28}{row['figure']:>12.3g}  goal {row['goal']:g}: {'met' if row['met'] else 'MISSED'}")
    if options.json:
        print(json.dumps(figures))
    return 0 if all(row["met"] for row in figures.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
