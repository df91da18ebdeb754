"""What redaction finds, what it must not touch, and what it costs: `python benchmarks/redaction.py [--json]`.

Secrets are planted (`logs/engine/planted.py`), and counted as the console counts them (`planted_measure.py`). Every
second template was held out while the rules were tuned.
`beside` is the share of lines in which something beside the secret changed, too (the name of a cookie, a scheme).
Real lines of ../shared have no truth: what was touched is counted by kind, and `--show` prints it.
Speed is that of lines without secrets, on one thread, in turns with `mask` of `logs/engine/masking.py`.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "platform"), str(ROOT)]
os.environ["POLARS_MAX_THREADS"] = "1"

from logs.engine.masking import mask  # noqa: E402
from logs.engine.planted import decoys, planted  # noqa: E402
from logs.engine.planted_measure import Measured, measure  # noqa: E402
from logs.engine.redaction import Redactor  # noqa: E402

SHARED = ROOT.parent / "shared" / "data"
GOALS = {"recall": 0.99, "precision": 0.97, "held_out_recall": 0.99, "held_out_precision": 0.97, "speed_ratio": 1.0}
REDACTOR = Redactor()
WIDTH, LINES, BATCHES = 120, 20_000, (1_000, 20_000)


def told(measured: Measured) -> dict[str, Any]:
    """Return recall and precision, overall and by kind (a decoy counts for the kind it was taken for)."""
    return {
        "secrets": measured.secrets,
        "decoys": measured.decoys,
        "recall": measured.recall,
        "precision": measured.precision,
        "beside": measured.beside / measured.secrets,
        "kinds": {
            kind: {"planted": each.planted, "recall": each.recall, "precision": each.precision}
            for kind, each in measured.kinds.items()
        },
    }


def real() -> Iterator[tuple[str, list[str]]]:
    """Yield the names and the lines of the real logs, where they lie beside the project."""
    for file in (*SHARED.glob("raw_throughput/*.log.gz"), *sorted(SHARED.glob("loghub_2k/*/*_2k.log.gz"))):
        yield (
            file.name.removesuffix(".log.gz"),
            gzip.decompress(file.read_bytes()).decode("utf-8", "replace").splitlines(),
        )


def touched(*, show: bool) -> dict[str, dict[str, Any]]:
    """Return how many real lines of each log were touched, and for which kinds."""
    seen = {}
    for name, lines in real():
        redacted, counts = REDACTOR.redact(lines)
        changed = [pair for pair in zip(lines, redacted, strict=True) if pair[0] != pair[1]]
        seen[name] = {"lines": len(lines), "touched": len(changed), **counts}
        for before, after in changed if show else ():
            print(f"- {before[:300]}\n+ {after[:300]}")
    return seen


def clean_lines() -> list[str]:
    """Return real lines without secrets, or the decoys where there are none, of WIDTH characters each."""
    lines = [line for _, some in real() for line in some] or [line.text for line in decoys(400)]
    cut = [(line + " " + line * (WIDTH // max(1, len(line))))[:WIDTH] for line in lines if line]
    step = max(1, len(cut) // LINES)
    kept = [
        line for line, redacted in zip(cut[::step], REDACTOR.redact(cut[::step])[0], strict=True) if line == redacted
    ]
    return (kept * (LINES // len(kept) + 1))[:LINES]


def seconds(work: Callable[[list[str]], object], lines: list[str], batch: int) -> float:
    """Return the processor time for the lines, batch by batch."""
    began = time.process_time()
    for start in range(0, len(lines), batch):
        work(lines[start : start + batch])
    return time.process_time() - began


def speed(rounds: int) -> dict[int, dict[str, float]]:
    """Return lines a second of both, and the median ratio of interleaved rounds, by the size of a batch."""
    lines, costs = clean_lines(), {}
    for batch in BATCHES:
        pairs = [(seconds(REDACTOR.redact, lines, batch), seconds(mask, lines, batch)) for _ in range(rounds + 1)][1:]
        costs[batch] = {
            "redact": LINES / statistics.median(ours for ours, _ in pairs),
            "mask": LINES / statistics.median(theirs for _, theirs in pairs),
            "ratio": statistics.median(theirs / ours for ours, theirs in pairs),
        }
    return costs


def main() -> int:
    """Measure, print tables, and tell by the exit code whether the goals are met."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rounds", type=int, default=7, help="turns of redacting and masking (default 7)")
    parser.add_argument("--show", action="store_true", help="print the real lines that were touched")
    parser.add_argument("--json", action="store_true", help="end with one JSON object")
    options = parser.parse_args()
    secrets, harmless = list(planted(seed=options.seed)), list(decoys(seed=options.seed))
    all_of = told(measure(REDACTOR, secrets, harmless))
    held_out = [[line for line in lines if line.held_out] for lines in (secrets, harmless)]
    held = told(measure(REDACTOR, *held_out))
    print(f"{'kind':<14}{'planted':>9}{'recall':>9}{'precision':>11}   held out: recall, precision")
    for kind, row in all_of["kinds"].items():
        other = held["kinds"][kind]
        print(f"{kind:<14}{row['planted']:>9}{row['recall']:>9.4f}{row['precision']:>11.4f}", end="")
        print(f"{other['recall']:>19.4f}{other['precision']:>11.4f}")
    for name, row in (("all", all_of), ("held out", held)):
        print(
            f"{name}: {row['secrets']} secrets, {row['decoys']} decoys; {row['beside']:.3f} changed beside the secret"
        )
    lines = touched(show=options.show)
    for name, counts in lines.items():
        if counts["touched"]:
            print(f"{name}: {counts}")
    total, hit = (sum(row[key] for row in lines.values()) for key in ("lines", "touched"))
    print(f"real lines: {total}, touched {hit}")
    costs = speed(options.rounds)
    for batch, row in costs.items():
        print(
            f"batches of {batch}: {row['redact']:,.0f} lines/s redacted, {row['mask']:,.0f} masked, {row['ratio']:.2f}"
        )
    figures = {
        "recall": all_of["recall"],
        "precision": all_of["precision"],
        "held_out_recall": held["recall"],
        "held_out_precision": held["precision"],
        "speed_ratio": min(row["ratio"] for row in costs.values()),
    }
    for name, figure in figures.items():
        print(f"{name:<20}{figure:>8.4f}  goal {GOALS[name]:g}: {'met' if figure >= GOALS[name] else 'MISSED'}")
    if options.json:
        print(json.dumps({**figures, "kinds": all_of["kinds"], "held_out": held, "real": lines, "speed": costs}))
    return 0 if all(figure >= GOALS[name] for name, figure in figures.items()) else 1


if __name__ == "__main__":
    sys.exit(main())
