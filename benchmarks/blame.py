"""How well the fast blame agrees with the counterfactual, and what it saves: `python benchmarks/blame.py [--json]`.

A small model learns from 600 sequences of hdfs_templates and of the generator each. The anomalous ones of what it did
not see are explained both ways, and again eight of them joined into one: the more different lines a sequence has, the
more the counterfactual costs. `top1` is the share whose heaviest line is the same, `overlap` the weight that both give
to the same lines.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import random
import sys
import time
from io import BytesIO
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "platform"), str(ROOT)]
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np  # noqa: E402

from detection.detectors.moe import Moe  # noqa: E402
from detection.encoders.bert import Bert  # noqa: E402
from detection.engine.blame import blame  # noqa: E402
from detection.engine.config import MoEOptions  # noqa: E402
from detection.engine.vectors import VectorStore  # noqa: E402
from duolog.plugins.types import LogSequence, NullContext  # noqa: E402
from logs.formats.jsonl import Jsonl  # noqa: E402
from training.generators.microservices import Microservices  # noqa: E402

SHARED = ROOT.parent / "shared" / "data"
LEARNED, VALIDATED, TOLD, JOINED = 600, 100, 150, 8
QUIET = NullContext()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="one JSON object on the last line")
    options = parser.parse_args()
    vectors, found = VectorStore(Bert()), {}
    print(f"{'':<24}{'lines':>8}{'top1':>8}{'overlap':>9}{'exact s':>9}{'fast s':>8}{'ratio':>7}")
    for name, data in (("hdfs_templates", real("hdfs_templates")), ("generated", generated())):
        detector, unseen = Moe(MoEOptions(learning_rate=3e-4)), data[LEARNED + VALIDATED :]
        detector.fit(data[:LEARNED], data[LEARNED : LEARNED + VALIDATED], vectors, QUIET)
        anomalous = [sequence for sequence in unseen if sequence.label][:TOLD]
        for told, some in ((name, anomalous), (f"{name} x {JOINED}", joined(unseen)[:30])):
            found[told] = figures = measure(detector, some, vectors)
            print(f"{told:<24}{figures['lines']:>8.0f}" + "".join(f"{figures[key]:>8.2f}" for key in KEYS), flush=True)
    if options.json:
        print(json.dumps(found))


KEYS = ("top1", "overlap", "exact", "fast", "ratio")


def measure(detector: Moe, some: list[LogSequence], vectors: VectorStore) -> dict[str, float]:
    """Explain sequences both ways; times are those of the processor, with every line encoded before."""
    detector.score(some, vectors, QUIET)
    began = time.process_time()
    exact = blame(lambda part: detector.score(part, vectors, QUIET), some)
    middle = time.process_time()
    fast = detector.blame(some, vectors, QUIET)
    seconds = (middle - began, time.process_time() - middle)
    pairs = [(one, other) for one, other in zip(exact, fast, strict=True) if one.any()]
    return {
        "lines": float(np.mean([len(sequence.entries) for sequence in some])),
        "top1": float(np.mean([other[one.argmax()] >= other.max() - 1e-12 for one, other in pairs])),
        "overlap": float(np.mean([np.minimum(one, other).sum() for one, other in pairs])),
        "exact": seconds[0],
        "fast": seconds[1],
        "ratio": seconds[0] / seconds[1],
    }


def real(name: str) -> list[LogSequence]:
    """Return 1,500 sequences of a shared source, in random order."""
    stream = BytesIO(gzip.decompress((SHARED / name / "train.jsonl.gz").read_bytes()))
    rows = [record for record in Jsonl().read(stream) if isinstance(record, LogSequence)]
    random.Random(1).shuffle(rows)
    return rows[:1500]


def generated() -> list[LogSequence]:
    """Return 1,500 generated sequences in Chinese and English."""
    return list(Microservices(Microservices.Options(language="mixed")).generate(1500, 1))


def joined(sequences: list[LogSequence]) -> list[LogSequence]:
    """Return sequences of the lines of JOINED others each."""
    groups = [sequences[start : start + JOINED] for start in range(0, len(sequences), JOINED)]
    return [
        LogSequence(group[0].id, tuple(line for sequence in group for line in sequence.entries)) for group in groups
    ]


if __name__ == "__main__":
    main()
