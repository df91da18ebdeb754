"""What the starter version is worth on systems it never saw: `python benchmarks/starter.py --help`.

It learns from generated sequences alone, as `duolog starter` does, and scores shared sources with no adaptation: no
line and no label of a source is seen before. The floors learn from the same generated sequences, with their labels. A
source counts as won where the PR-AUC exceeds that of every floor. A ninth of the generated sequences is for validation.
With --others all shared sources of other systems are learned from, too, at most as many sequences of each as --others
says; HDFS is one system under three names. The figures hold for --count 7200; the small default shows that it runs.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "platform"), str(ROOT)]
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as in duolog.settings; before torch is imported

import numpy as np  # noqa: E402
from neighbours import SHARED, WITHOUT_SIGNAL, read  # noqa: E402
from sklearn.metrics import average_precision_score  # noqa: E402

from detection.detectors.moe import Moe  # noqa: E402
from detection.encoders.bert import Bert  # noqa: E402
from detection.engine.config import MoEOptions  # noqa: E402
from detection.engine.floors import Floors  # noqa: E402
from detection.engine.vectors import VectorStore  # noqa: E402
from duolog.plugins.types import LogSequence, NullContext  # noqa: E402
from training.engine.starter import SEED, SHOP, TRAINING  # noqa: E402
from training.generators.microservices import Microservices, Options  # noqa: E402

SOURCES = (
    "hdfs_templates", "hadoop_templates", "openstack_kalaki_raw", "openstack_loghub_templates", "bgl_2k_lines",
    "hdfs_raw20k",
)  # fmt: skip
SYSTEMS = {
    "hdfs": ("hdfs_templates", "hdfs_raw20k"), "hadoop": ("hadoop_templates",), "bgl": ("bgl_2k_lines",),
    "openstack": ("openstack_kalaki_raw", "openstack_loghub_templates"),
}  # fmt: skip
LEAST = 4
"""Sources on which every floor is to be beaten."""
QUIET = NullContext()


def drawn(name: str, most: int) -> list[LogSequence]:
    """Return sequences of a source in random order."""
    whole = read(name)
    return [whole[position] for position in np.random.default_rng(0).permutation(len(whole))[:most]]


def learned(system: str, options: argparse.Namespace) -> tuple[list[LogSequence], list[LogSequence]]:
    """Return train and validation: generated sequences, and with a `system` those of all other systems, too."""
    made = list(Microservices(Options(**SHOP)).generate(options.count, SEED))
    held = options.count // 9
    train, validation = made[:-held], made[-held:]
    others = [name for other, names in SYSTEMS.items() if system and other != system for name in names]
    for name in others:
        if name not in WITHOUT_SIGNAL:
            whole = drawn(name, options.others)
            train, validation = [*train, *whole[len(whole) // 9 :]], [*validation, *whole[: len(whole) // 9]]
    return train, validation


def main() -> int:
    """Train, measure, print a table, and tell by the exit code whether the goal is met."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=400, help="generated sequences (default 400; the figures: 7200)")
    parser.add_argument("--others", type=int, default=0, help="sequences of each source of other systems (default 0)")
    parser.add_argument("--test", type=int, default=2000, help="most sequences of a source (default 2000)")
    parser.add_argument("--json", action="store_true", help="end with one JSON object")
    options = parser.parse_args()
    if not SHARED.is_dir():
        print(f"{SHARED} is absent; there is nothing to measure on", file=sys.stderr)
        return 2
    vectors, won, figures = VectorStore(Bert()), 0, {}
    for system in SYSTEMS if options.others else [""]:
        train, validation = learned(system, options)
        detector = Moe(MoEOptions(**TRAINING))
        detector.fit(train, validation, vectors, QUIET)
        floors = Floors.fit(train, validation, labels=True)
        heads = "".join(f"{name:>10}" for name in floors.names)
        print(f"{'source':<28}{'anomalous':>10}{'starter':>9}{heads}", flush=True)
        for name in SYSTEMS[system] if system else SOURCES:
            sequences = drawn(name, options.test)
            truth = np.array([sequence.label or 0 for sequence in sequences])
            found = float(average_precision_score(truth, detector.score(sequences, vectors, QUIET)))
            rivals = [float(average_precision_score(truth, scores)) for scores in floors.scores(sequences).T]
            won += found > max(rivals)
            figures[name] = {"figure": round(found, 4), "goal": round(max(rivals), 4), "met": found > max(rivals)}
            note = "  no signal" if name in WITHOUT_SIGNAL else ""
            cells = "".join(f"{each:>10.4f}" for each in rivals)
            print(f"{name:<28}{np.mean(truth):>10.1%}{found:>9.4f}{cells}{note}", flush=True)
    print(f"above every floor on {won} of {len(SOURCES)} sources (goal: {LEAST})")
    figures["sources_won"] = {"figure": won, "goal": LEAST, "met": won >= LEAST}
    if options.json:
        print(json.dumps(figures))
    return 0 if won >= LEAST else 1


if __name__ == "__main__":
    sys.exit(main())
