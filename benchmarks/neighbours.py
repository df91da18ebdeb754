"""How well the labels-free detector ranks real sequences: `python benchmarks/neighbours.py --help`.

It is fitted on a few hundred sequences of one system, drawn at random, of which a share is anomalous although nobody
says so; the area under the ROC curve is measured on the others. Figures are means over draws.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import sys
from dataclasses import replace
from io import BytesIO
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "platform"), str(ROOT)]
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as in duolog.settings; before torch is imported

import numpy as np  # noqa: E402
from sklearn.metrics import roc_auc_score  # noqa: E402

from detection.detectors.neighbours import Neighbours  # noqa: E402
from detection.encoders.bert import Bert  # noqa: E402
from detection.engine.vectors import VectorStore  # noqa: E402
from duolog.plugins.types import LogSequence, NullContext  # noqa: E402
from logs.formats.jsonl import Jsonl  # noqa: E402

SHARED = ROOT.parent / "shared" / "data"
GOALS = {
    "hdfs_templates": {0: 0.998, 5: None, 20: 0.995},
    "openstack_kalaki_raw": {0: 0.998, 5: None, 20: 0.94},
}
QUIET = NullContext()


def read(name: str) -> list[LogSequence]:
    """Return the labelled sequences of a shared source."""
    content = gzip.decompress((SHARED / name / "train.jsonl.gz").read_bytes())
    return [record for record in Jsonl().read(BytesIO(content)) if isinstance(record, LogSequence)]


def measure(
    sequences: list[LogSequence], size: int, share: float, most: int, seed: int, vectors: VectorStore
) -> dict[str, float]:
    """Fit on one draw; return the area, and at the threshold of its own the recall and the false alarms' share."""
    random = np.random.default_rng(seed)
    labels = np.array([sequence.label for sequence in sequences])
    anomalous = round(size * share)
    fitted = np.concatenate(
        [random.permutation(np.flatnonzero(labels == 0))[: size - anomalous],
         random.permutation(np.flatnonzero(labels == 1))[:anomalous]]
    )  # fmt: skip
    held_out = random.permutation(np.setdiff1d(np.arange(len(labels)), fitted))[:most]
    detector = Neighbours()
    unlabelled = [replace(sequences[number], label=None) for number in fitted]
    threshold = detector.fit(unlabelled, [], vectors, QUIET)
    scores, truth = detector.score([sequences[number] for number in held_out], vectors, QUIET), labels[held_out] == 1
    flagged = scores >= threshold
    return {
        "auc": float(roc_auc_score(truth, scores)),
        "recall": float(flagged[truth].mean()),
        "false_alarms": float(flagged[~truth].mean()),
    }


def main() -> int:
    """Measure, print a table, and tell by the exit code whether the goals are met."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sequences", type=int, default=400, help="sequences fitted on (default 400)")
    parser.add_argument("--draws", type=int, default=5, help="draws that are averaged (default 5)")
    parser.add_argument("--test", type=int, default=4000, help="most sequences measured on (default 4000)")
    parser.add_argument("--json", action="store_true", help="end with one JSON object")
    options = parser.parse_args()
    if not SHARED.is_dir():
        print(f"{SHARED} is absent; there is nothing to measure on", file=sys.stderr)
        return 2
    vectors, figures = VectorStore(Bert()), {}
    print(f"{'source':<24}{'anomalous':>10}{'AUC':>9}{'goal':>8}{'recall':>9}{'false alarms':>14}")
    for name, goals in GOALS.items():
        sequences = read(name)
        for percent, goal in goals.items():
            rows = [
                measure(sequences, options.sequences, percent / 100, options.test, seed, vectors)
                for seed in range(options.draws)
            ]
            mean = {key: float(np.mean([row[key] for row in rows])) for key in rows[0]}
            figures[f"{name}_{percent}"] = {
                "figure": round(mean["auc"], 4),
                "goal": goal,
                "met": goal is None or mean["auc"] >= goal,
            }
            print(
                f"{name:<24}{percent:>8} %{mean['auc']:>9.4f}{goal or '':>8}{mean['recall']:>9.1%}"
                f"{mean['false_alarms']:>14.2%}"
            )
    if options.json:
        print(json.dumps(figures))
    return 0 if all(row["met"] for row in figures.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
