"""How much faster the cached path scores than BERT over every line: `python benchmarks/detection.py --help`.

Both paths score the same sequences with the same encoder, the same weights and the same precision, in turns. The peer
encodes every line of every sequence in batches of like length, as one does without a cache; ours masks the lines, looks
them up and scores each distinct sequence once. Both include masking and the head; all lines are in the cache (warm).
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from io import BytesIO
from itertools import accumulate, pairwise
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "platform"), str(ROOT)]
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as in duolog.settings; before torch is imported

import numpy as np  # noqa: E402
import torch  # noqa: E402
from numpy.typing import NDArray  # noqa: E402

from detection.detectors.moe import Moe  # noqa: E402
from detection.encoders.bert import Bert, BertOptions  # noqa: E402
from detection.engine import loop  # noqa: E402
from detection.engine.config import MoEOptions  # noqa: E402
from detection.engine.device import device  # noqa: E402
from detection.engine.vectors import VectorStore  # noqa: E402
from duolog.plugins.types import LogSequence, NullContext  # noqa: E402
from logs.engine.masking import mask  # noqa: E402
from logs.formats.jsonl import Jsonl  # noqa: E402
from training.generators.microservices import Microservices  # noqa: E402

SHARED = ROOT.parent / "shared" / "data" / "hdfs_templates" / "train.jsonl.gz"
QUIET = NullContext()


def read(source: str, seed: int) -> tuple[str, list[LogSequence]]:
    """Return the name and the sequences, shuffled, of a JSONL file or of the generator."""
    file = Path(source) if source else SHARED
    if source == "generated" or not (source or file.is_file()):
        return "generated", list(Microservices().generate(2000, seed))
    content = file.read_bytes()
    stream = BytesIO(gzip.decompress(content) if file.suffix == ".gz" else content)
    found = [record for record in Jsonl().read(stream) if isinstance(record, LogSequence) and record.entries]
    order = np.random.default_rng(seed).permutation(len(found))
    return file.parent.name, [found[position] for position in order]


def peer(detector: Moe, encoder: Bert, sequences: list[LogSequence]) -> NDArray[np.float64]:
    """Score with BERT over every line."""
    lines = mask([line for sequence in sequences for line in sequence.entries])
    first: dict[str, int] = {}  # the model counts how often a line was said, so equal lines must have equal rows
    flat = np.array([first.setdefault(line, row) for row, line in enumerate(lines)], np.int32)
    ends = accumulate((len(sequence.entries) for sequence in sequences), initial=0)
    rows = [flat[start:end] for start, end in pairwise(ends)]
    return loop.score(detector.model, rows, encoder.encode(lines), QUIET)


def timed(work: Callable[[], NDArray[np.float64]], times: int) -> tuple[float, NDArray[np.float64]]:
    """Return the median seconds of `times` calls, and the last result."""
    seconds = []
    for _ in range(times):
        began = time.perf_counter()
        result = work()
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds), result


def main() -> int:
    """Measure, print a table, and tell by the exit code whether the goals are met."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="", help="a JSONL file, or 'generated' (default: shared HDFS, if present)")
    parser.add_argument("--sequences", type=int, default=32, help="sequences that both paths score (default 32)")
    parser.add_argument("--train", type=int, default=320, help="sequences the head is trained on first (default 320)")
    parser.add_argument("--rounds", type=int, default=3, help="turns of either path (default 3)")
    parser.add_argument("--precision", choices=["fp32", "bf16"], default="fp32", help="of the encoder in both paths")
    parser.add_argument("--threads", type=int, default=0, help="of torch (default: its own choice)")
    parser.add_argument("--model", default=BertOptions.model, help="the encoder")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="end with one JSON object")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)

    source, found = read(options.data, options.seed)
    train, sample = found[: options.train], found[options.train :][: options.sequences]
    encoder = Bert(BertOptions(model=options.model, precision=options.precision))
    vectors = VectorStore(encoder)
    detector = Moe(MoEOptions(epochs=1, seed=options.seed))
    detector.fit(train, [], vectors, QUIET)
    vectors.index(sample, QUIET)  # warm

    ours, theirs, gap = [], [], 0.0
    for _ in range(options.rounds):
        slow, reference = timed(lambda: peer(detector, encoder, sample), 1)
        fast, scores = timed(lambda: detector.score(sample, vectors, QUIET), 20)
        theirs.append(len(sample) / slow)
        ours.append(len(sample) / fast)
        gap = max(gap, float(np.abs(scores - reference).max()))

    ratio = statistics.median(mine / other for mine, other in zip(ours, theirs, strict=True))
    figures = {
        "warm_ratio": {"figure": round(ratio, 1), "goal": 200, "met": ratio >= 200},
        "max_score_difference": {"figure": gap, "goal": 1e-3, "met": gap <= 1e-3},
    }
    lines = [line for sequence in sample for line in sequence.entries]
    kinds, masked = len({tuple(mask(sequence.entries)) for sequence in sample}), len(set(mask(lines)))
    print(f"{source}: {len(sample)} sequences, {kinds} distinct; {len(lines)} lines, {masked} distinct when masked")
    print(f"encoder {options.model}, {options.precision}, {torch.get_num_threads()} threads, {device()}")
    print(f"{'path':<28}{'sequences/s':>12}  rounds")
    for name, rates in (("BERT over every line", theirs), ("cached", ours)):
        print(f"{name:<28}{statistics.median(rates):>12,.1f}  {', '.join(f'{rate:,.1f}' for rate in rates)}")
    for name, row in figures.items():
        print(f"{name:<28}{row['figure']:>12.5g}  goal {row['goal']:g}: {'met' if row['met'] else 'MISSED'}")
    if options.json:
        print(json.dumps(figures))
    return 0 if all(row["met"] for row in figures.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
