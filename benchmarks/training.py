"""How much faster the head learns than BERT is fine-tuned: `python benchmarks/training.py --help`.

Ours: encode the distinct lines of the sequences, then two epochs, one without and one with the gate; all is timed, and
with fewer sequences brought to 6,400 in proportion (which is unkind to ours: distinct lines do not grow so). The peer:
a BERT of base shape fine-tuned end to end, forward and backward over every line and one step of AdamW a batch of 64
sequences, from a few timed batches of lines and one step; its head is left out. Both in float32, unless the hardware
has bf16.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "platform"), str(ROOT)]
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as in duolog.settings; before torch is imported

import numpy as np  # noqa: E402
from peers import BertBase  # noqa: E402

from detection.detectors.moe import Moe  # noqa: E402
from detection.encoders.bert import Bert  # noqa: E402
from detection.engine.config import MoEOptions  # noqa: E402
from detection.engine.vectors import VectorStore  # noqa: E402
from duolog.plugins.types import NullContext  # noqa: E402
from logs.engine.masking import mask  # noqa: E402
from training.generators.microservices import Microservices  # noqa: E402

TRAINED, EPOCHS, BATCH = 6400, 2, 64


def main() -> int:
    """Measure, print a table, and tell by the exit code whether the goal is met."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sequences", type=int, default=TRAINED, help="that ours really learns from (default 6400)")
    parser.add_argument("--sample", type=int, default=64, help="lines that BERT really learns from (default 64)")
    parser.add_argument("--json", action="store_true", help="end with one JSON object")
    options = parser.parse_args()

    data = list(Microservices().generate(options.sequences, 0))
    lines = mask([line for sequence in data for line in sequence.entries])
    drawn = np.random.default_rng(0).integers(0, len(lines), options.sample)
    bert = BertBase()
    learning, stepping = bert.learn(bert.batches([lines[row] for row in drawn]))
    scale = TRAINED / len(data)
    peer = EPOCHS * (learning * len(lines) * scale / options.sample + stepping * TRAINED / BATCH)

    began = time.perf_counter()
    Moe(MoEOptions(epochs=EPOCHS // 2, batch=BATCH)).fit(data, [], VectorStore(Bert()), NullContext())
    ours = (time.perf_counter() - began) * scale

    ratio = peer / ours
    print(f"{TRAINED} generated sequences, {len(lines) * scale:,.0f} lines, {EPOCHS} epochs; seconds")
    print(f"{'BERT-base, end to end':<28}{peer:>12,.0f}  (extrapolated from {options.sample} lines and one step)")
    print(f"{'ours, with encoding':<28}{ours:>12,.1f}  (from {len(data)} sequences)")
    print(f"{'training_ratio':<28}{ratio:>12,.0f}  goal 500: {'met' if ratio >= 500 else 'MISSED'}")
    if options.json:
        print(json.dumps({"training_ratio": {"figure": round(ratio, 1), "goal": 500, "met": ratio >= 500}}))
    return 0 if ratio >= 500 else 1


if __name__ == "__main__":
    sys.exit(main())
