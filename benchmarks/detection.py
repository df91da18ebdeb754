"""How much faster the cached path scores than BERT over every line: `python benchmarks/detection.py --help`.

Warm: HDFS sequences whose lines are all in the cache, beside a BERT of base shape that reads every line of them. Cold:
the first lines of a real mix of logs, with an empty cache, beside the same BERT over every line; of ours, the time to
encode the distinct lines is counted with that BERT, too. Its time is that of a random sample of lines, times their
number, for reading all of them would take hours; its head would come on top, and is left out. Precision is float32 on
both sides, and the two take turns. Ours includes masking and looking up; nothing is left out.

Scores: the same sequences once by the cached path, once with the vector of every single line from the encoder.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from io import BytesIO
from itertools import accumulate, pairwise
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "platform"), str(ROOT)]
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as in duolog.settings; before torch is imported

import numpy as np  # noqa: E402
import torch  # noqa: E402
from numpy.typing import NDArray  # noqa: E402
from peers import BertBase  # noqa: E402
from real import DATA, mix  # noqa: E402

from detection.detectors.moe import Moe  # noqa: E402
from detection.encoders.bert import Bert, BertOptions  # noqa: E402
from detection.engine import scoring  # noqa: E402
from detection.engine.config import MoEOptions  # noqa: E402
from detection.engine.device import device  # noqa: E402
from detection.engine.inputs import Inputs  # noqa: E402
from detection.engine.vectors import VectorStore, says  # noqa: E402
from duolog.plugins.points import Encoder  # noqa: E402
from duolog.plugins.types import LogSequence, NullContext, Vectors  # noqa: E402
from logs.engine.masking import mask  # noqa: E402
from logs.formats.jsonl import Jsonl  # noqa: E402
from training.generators.microservices import Microservices  # noqa: E402

SHARED = DATA / "hdfs_templates" / "train.jsonl.gz"
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


class Instant(Encoder):
    """Any vector at once: what is left of the cold path when encoding costs nothing."""

    dim, digest = 384, "instant"

    def encode(self, lines: Sequence[str]) -> Vectors:
        """Return random rows."""
        return np.random.default_rng(0).normal(size=(len(lines), self.dim)).astype(np.float32)


def from_nothing(detector: Moe, sequences: list[LogSequence]) -> None:
    """Score as a process does that was just started, a batch of a scan at a time."""
    detector.inputs = Inputs(detector.inputs.history)
    store = VectorStore(Instant())
    for start in range(0, len(sequences), 1024):
        detector.score(sequences[start : start + 1024], store, QUIET)


def every_line(detector: Moe, encoder: Bert, sequences: list[LogSequence]) -> NDArray[np.float64]:
    """Score with the vector of every line from the encoder."""
    lines = [says(line) for line in mask([line for sequence in sequences for line in sequence.entries])]
    first: dict[str, int] = {}  # the model counts how often a line was said, so equal lines must have equal rows
    flat = np.array([first.setdefault(line, row) for row, line in enumerate(lines)], np.int32)
    ends = accumulate((len(sequence.entries) for sequence in sequences), initial=0)
    rows = [flat[start:end] for start, end in pairwise(ends)]
    both = zip(rows, detector.inputs.codes(sequences), strict=True)
    parts, table = [np.column_stack(pair) for pair in both], encoder.encode(lines)
    features = detector.familiar.features(rows, table) if detector.familiar else None
    return scoring.score(detector.model, parts, table, QUIET, features)


def timed(work: Callable[[], object], times: int) -> float:
    """Return the median seconds of `times` calls."""
    seconds = []
    for _ in range(times):
        began = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds)


def main() -> int:
    """Measure, print a table, and tell by the exit code whether the goals are met."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="", help="a JSONL file, or 'generated' (default: shared HDFS, if present)")
    parser.add_argument("--sequences", type=int, default=1024, help="sequences scored warm (default 1024)")
    parser.add_argument(
        "--lines", type=int, default=20_000, help="lines of the mix, scored cold (default 20,000; the figures: 100,000)"
    )
    parser.add_argument("--sample", type=int, default=64, help="lines that BERT reads in a round (default 64)")
    parser.add_argument("--train", type=int, default=320, help="sequences the head is trained on first (default 320)")
    parser.add_argument("--rounds", type=int, default=1, help="turns of either path (default 1; the figures: 3)")
    parser.add_argument("--threads", type=int, default=0, help="of torch (default: its own choice)")
    parser.add_argument("--model", default=BertOptions.model, help="the encoder")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="end with one JSON object")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)

    source, found = read(options.data, options.seed)
    train, sample = found[: options.train], found[options.train :][: options.sequences]
    encoder = Bert(BertOptions(model=options.model, precision="fp32"))
    vectors = VectorStore(encoder)
    detector = Moe(MoEOptions(epochs=1, seed=options.seed))
    detector.fit(train, [], vectors, QUIET)
    few = sample[:32]
    gap = float(np.abs(detector.score(few, vectors, QUIET) - every_line(detector, encoder, few)).max())

    bert, random = BertBase(), np.random.default_rng(options.seed)
    cold = mix(options.lines)
    known, new = (masked(sequences) for sequences in (sample, cold))
    distinct = list(dict.fromkeys(says(line) for line in new))

    def drawn(lines: list[str]) -> list[tuple[torch.Tensor, torch.Tensor]]:
        return bert.batches([lines[row] for row in random.integers(0, len(lines), options.sample)])

    detector.score(sample, vectors, QUIET)  # warm
    turns: dict[str, list[float]] = {"BERT, warm": [], "cached, warm": [], "BERT, cold": [], "cached, cold": []}
    for _ in range(options.rounds):
        turns["BERT, warm"].append(bert.read(drawn(known)) * len(known) / options.sample)
        turns["cached, warm"].append(timed(lambda: detector.score(sample, vectors, QUIET), 3))
        turns["BERT, cold"].append(bert.read(drawn(new)) * len(new) / options.sample)
        encoding = bert.read(drawn(distinct)) * len(distinct) / options.sample
        turns["cached, cold"].append(encoding + timed(lambda: from_nothing(detector, cold), 1))

    def ratio(path: str) -> float:
        pairs = zip(turns[f"BERT, {path}"], turns[f"cached, {path}"], strict=True)
        return statistics.median(slow / fast for slow, fast in pairs)

    figures = {
        "warm_ratio": {"figure": round(ratio("warm"), 1), "goal": 1000, "met": ratio("warm") >= 1000},
        "cold_ratio": {"figure": round(ratio("cold"), 1), "goal": 50, "met": ratio("cold") >= 50},
        "max_score_difference": {"figure": gap, "goal": 1e-3, "met": gap <= 1e-3},
    }
    alike = len({tuple(mask(sequence.entries)) for sequence in sample})
    print(f"warm: {source}, {len(sample)} sequences ({alike} distinct when masked), {len(known)} lines")
    print(f"cold: {len(new)} lines in {len(cold)} windows, of which {len(distinct)} distinct ones are encoded")
    print(f"float32, {torch.get_num_threads()} threads, {device()}; seconds of each round")
    for name, seconds in turns.items():
        print(f"{name:<28}{statistics.median(seconds):>12,.3f}  {', '.join(f'{each:,.3f}' for each in seconds)}")
    for name, row in figures.items():
        print(f"{name:<28}{row['figure']:>12.5g}  goal {row['goal']:g}: {'met' if row['met'] else 'MISSED'}")
    if options.json:
        print(json.dumps(figures))
    return 0 if all(row["met"] for row in figures.values()) else 1


def masked(sequences: list[LogSequence]) -> list[str]:
    """Return all lines, masked."""
    return mask([line for sequence in sequences for line in sequence.entries])


if __name__ == "__main__":
    sys.exit(main())
