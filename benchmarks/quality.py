"""F1 of the MoE detector beside a TF-IDF + logistic regression floor, on the same real sequences.

Both learn from the part train, choose their threshold on validation, and are measured once on the part test; and
again on those of its sequences whose masked lines do not stand in train in the same order: logs repeat, and what was
seen before is easy. Ours goes the way of every user: import_data, split, train, evaluate. Everything is stored in a
project of its own.

    python benchmarks/quality.py ../shared/data/hdfs_templates/train.jsonl.gz [--all] [--json]
"""

from __future__ import annotations

import argparse
import io
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from duolog.plugins.types import LogSequence

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "platform")]
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "duolog.settings")
os.environ.setdefault("DUOLOG_LOG_LEVEL", "WARNING")

PROJECT = "benchmarks"
SIZES = {"train": 1600, "validation": 200, "test": 400}
FIGURES = ("f1", "precision", "recall", "accuracy", "pr_auc")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, help="labelled sequences in any known format")
    for part, size in SIZES.items():
        parser.add_argument(f"--{part}", type=int, default=size, help="sequences in this part (default: %(default)s)")
    parser.add_argument("--all", action="store_true", help="all sequences, 8 : 1 : 1")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--goal", type=float, default=0.98, help="for F1 (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="one JSON object on the last line")
    options = parser.parse_args()
    from django.conf import settings

    with settings.SERVICES.hold():
        import django

        django.setup()
        measure(options)


def measure(options: argparse.Namespace) -> None:
    from duolog.plugins.types import LogSequence
    from logs import datasets
    from logs.engine.masking import mask
    from logs.formats.jsonl import Jsonl

    name = f"quality-{options.file.resolve().parent.name}"
    sizes = [] if options.all else [f"--{part}={getattr(options, part)}" for part in SIZES]
    seconds: dict[str, float] = {}
    timed("import_data", seconds, options.file, "--dataset", name)
    timed("split", seconds, "--dataset", name, *sizes, "--seed", options.seed)
    model = timed("train", seconds, "--dataset", name, "--wait")["model"]
    ours = timed("evaluate", seconds, "--dataset", f"{name}:test", "--model", model)

    dataset = datasets.get_or_create(project=PROJECT, name=name)
    parts = {part: list(datasets.read(dataset, part)) for part in SIZES}
    seen = {tuple(mask(sequence.entries)) for sequence in parts["train"]}
    new = [sequence for sequence in parts["test"] if tuple(mask(sequence.entries)) not in seen]
    began = time.monotonic()
    floor = Floor(parts["train"], parts["validation"])
    columns = {"MoE": ours, "TF-IDF+LR": floor.measure(parts["test"])}
    seconds["floor"] = time.monotonic() - began
    if new:
        with tempfile.NamedTemporaryFile(suffix=".jsonl") as file:
            Jsonl().write((LogSequence(each.id, each.entries, each.label) for each in new), file)  # type: ignore[arg-type]
            file.flush()
            columns["MoE, new"] = timed("evaluate", seconds, "--file", file.name, "--model", model)
        columns["TF-IDF+LR, new"] = floor.measure(new)

    print(f"{options.file}: trained on {len(parts['train'])} sequences")
    print(f"{'':<12}" + "".join(f"{column:>16}" for column in columns))
    for figure in ("sequences", "anomalous"):
        print(f"{figure:<12}" + "".join(f"{found[figure]:>16}" for found in columns.values()))
    for figure in FIGURES:
        print(f"{figure:<12}" + "".join(f"{found[figure]:>16.4f}" for found in columns.values()))
    print(f"no rule over the masked lines alone can exceed F1 {ceiling(parts['test']):.4f} on the test part")
    print(", ".join(f"{stage} {duration:.1f} s" for stage, duration in seconds.items()))
    if options.json:
        goals = {"f1": (ours["f1"], options.goal), "f1_over_floor": (ours["f1"] - columns["TF-IDF+LR"]["f1"], 0.0)}
        print(
            json.dumps(
                {
                    named: {"figure": figure, "goal": goal, "met": figure >= goal}
                    for named, (figure, goal) in goals.items()
                }
            )
        )


def timed(command: str, seconds: dict[str, float], *arguments: object) -> dict[str, Any]:
    """Run one of our commands and return what it answers."""
    from django.core.management import call_command

    out, began = io.StringIO(), time.monotonic()
    call_command(command, *map(str, arguments), "--project", PROJECT, "--json", stdout=out)
    seconds[command] = time.monotonic() - began
    answer: dict[str, Any] = json.loads(out.getvalue().splitlines()[-1])
    return answer


class Floor:
    """TF-IDF over masked words and pairs of them, and logistic regression."""

    def __init__(self, train: list[LogSequence], validation: list[LogSequence]) -> None:
        from sklearn.feature_extraction.text import TfidfVectorizer
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline

        from detection.engine import calibrate

        self.model = make_pipeline(
            TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True),
            LogisticRegression(max_iter=1000, class_weight="balanced"),
        ).fit(self.texts(train), labels(train))
        self.threshold = calibrate.best_f1(labels(validation), self.scores(validation))

    def measure(self, sequences: list[LogSequence]) -> dict[str, float]:
        """Return the same figures as `evaluate`."""
        from detection.engine import metrics

        return metrics.evaluate(labels(sequences), self.scores(sequences), self.threshold)

    def scores(self, sequences: list[LogSequence]) -> Any:
        """Return one probability a sequence."""
        return self.model.predict_proba(self.texts(sequences))[:, 1]

    @staticmethod
    def texts(sequences: list[LogSequence]) -> list[str]:
        """Return each sequence as one text."""
        from logs.engine.masking import mask

        return ["\n".join(mask(sequence.entries)) for sequence in sequences]


def ceiling(sequences: list[LogSequence]) -> float:
    """Return the best F1 of any rule over masked lines: sequences with equal lines cannot be told apart."""
    from logs.engine.masking import mask

    alike: dict[tuple[str, ...], list[int]] = {}
    for sequence in sequences:
        alike.setdefault(tuple(mask(sequence.entries)), []).append(sequence.label or 0)
    total, flagged, found, best = sum(labels(sequences)), 0, 0, 0.0
    for group in sorted(alike.values(), key=lambda group: -sum(group) / len(group)):
        flagged, found = flagged + len(group), found + sum(group)
        best = max(best, 2 * found / (flagged + total))
    return best


def labels(sequences: list[LogSequence]) -> list[int]:
    """Return 0 or 1 for each sequence."""
    return [sequence.label or 0 for sequence in sequences]


if __name__ == "__main__":
    main()
