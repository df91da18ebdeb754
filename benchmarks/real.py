"""Real logs beside the checkout, as the benchmarks read them."""

from __future__ import annotations

import gzip
from pathlib import Path

from duolog.plugins.types import LogSequence
from training.generators.microservices import Microservices

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
WINDOW = 20
"""Lines of a sequence of the mix."""


def mix(lines: int) -> list[LogSequence]:
    """Return the first lines of each real log, as many of each, cut into windows; without the data, generated ones."""
    files = sorted([*DATA.glob("raw_throughput/*.log.gz"), *DATA.glob("loghub_2k/*/*.log")])
    if not files:
        return list(Microservices().generate(lines // 10, 0))
    made: list[LogSequence] = []
    for number, file in enumerate(files):  # what a short file lacks, the later, longer ones may use
        wanted = (lines - sum(len(sequence.entries) for sequence in made)) // (len(files) - number)
        content = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
        read = [line for line in content.decode("utf-8", "replace").splitlines() if line.strip()][:wanted]
        made += [
            LogSequence(f"{file.stem}-{start}", tuple(read[start : start + WINDOW]))
            for start in range(0, len(read), WINDOW)
        ]
    return made
