"""Template mining beside Drain3: grouping, templates and speed: `python benchmarks/templates.py --help`.

Quality is measured on the 2,000 labelled lines of each Loghub system (Zhu et al., ISSRE 2023), with the templates that
Khan et al. (ICSE 2022) and LogPub (Jiang et al., "A large-scale evaluation for log parsing techniques", ISSTA 2024)
corrected where there are such, as LogPub defines it:
GA, grouping accuracy: share of lines whose group holds exactly the lines of their true template.
FTA: harmonic mean of the shares of found and of true templates that are right: all lines of the found template have a
true template of exactly the same text.
Nothing is done to anybody's templates before they are compared, but that the names of Drain3's masks become `<*>`.

Drain3 (the peer) runs as it comes, `stock`, and with the six masks of its documentation, `masks`. Speed is CPU time on
one core, each time with a new miner, in turns with Drain3 with masks on the same lines; the median counts.
"By 1,000": a new miner gets 1,000 lines at a time; the regex of the mask has to warm up in each call.
The rules were made looking at these systems; none of them is named in the code.
"""

from __future__ import annotations

import argparse
import csv
import gc
import gzip
import io
import json
import os
import re
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

os.environ["POLARS_MAX_THREADS"] = "1"  # one core; read when polars is imported

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "platform")]

from drain3 import TemplateMiner  # noqa: E402
from drain3.masking import MaskingInstruction  # noqa: E402
from drain3.template_miner_config import TemplateMinerConfig  # noqa: E402

from logs.engine.masking import mask  # noqa: E402
from logs.engine.templates import Miner  # noqa: E402

SHARED = ROOT.parent / "shared" / "data"
BATCH = 1000
GOALS = {"ga": 0.88, "speed": 15.0, "fta": 2.0}
LEFT, RIGHT = r"((?<=[^A-Za-z0-9])|^)", r"((?=[^A-Za-z0-9])|$)"
MASKS = [  # examples/drain3.ini of Drain3
    MaskingInstruction(f"{LEFT}{pattern}{RIGHT}", name)
    for pattern, name in (
        ("(([0-9a-f]{2,}:){3,}([0-9a-f]{2,}))", "ID"),
        (r"(\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3})", "IP"),
        ("([0-9a-f]{6,} ?){3,}", "SEQ"),
        ("([0-9A-F]{4} ?){4,}", "SEQ"),
        ("(0x[a-f0-9A-F]+)", "HEX"),
        (r"([\-\+]?\d+)", "NUM"),
    )
]
Found = tuple[list[int], list[str]]
"""The number of each line's template, and its text."""


def ours(lines: Sequence[str]) -> Found:
    miner = Miner()
    ids = miner.match(lines)
    return ids, [miner.templates[each].text for each in ids]


def drain(lines: Sequence[str], *, masks: bool) -> Found:
    config = TemplateMinerConfig()
    config.profiling_enabled = False
    config.masking_instructions = MASKS if masks else []
    miner = TemplateMiner(config=config)
    ids = [miner.add_log_message(line)["cluster_id"] for line in lines]
    texts = {each.cluster_id: re.sub("<:?[A-Z]+:?>", "<*>", each.get_template()) for each in miner.drain.clusters}
    return ids, [texts[each] for each in ids]


def grouping_accuracy(truth: Sequence[str], ids: Sequence[int]) -> float:
    wanted, got = defaultdict(set), defaultdict(set)
    for place, (label, template) in enumerate(zip(truth, ids, strict=True)):
        wanted[label].add(place)
        got[template].add(place)
    return sum(len(each) for each in got.values() if wanted[truth[min(each)]] == each) / len(truth)


def f1_of_templates(truth: Sequence[str], texts: Sequence[str]) -> float:
    got = defaultdict(set)
    for label, text in zip(truth, texts, strict=True):
        got[text].add(label)
    return 2 * sum(labels == {text} for text, labels in got.items()) / (len(got) + len(set(truth)))


def labelled(folder: Path) -> tuple[list[str], list[str]]:
    """Return content and true template of each line."""
    files = [folder / f"{folder.name}_2k.log_structured{kind}.csv.gz" for kind in ("_corrected", "")]
    with gzip.open(next(file for file in files if file.exists())) as file:
        rows = list(csv.DictReader(io.TextIOWrapper(file, "utf-8", newline="")))
    return [row["Content"] for row in rows], [row["EventTemplate"] for row in rows]


def raw(file: Path) -> list[str]:
    with gzip.open(file, "rt", encoding="utf-8", errors="replace") as lines:
        return lines.read().splitlines()


def seconds(work: Callable[[Sequence[str]], object], lines: Sequence[str]) -> float:
    began = time.process_time()
    work(lines)
    return time.process_time() - began


def quality(folders: Sequence[Path]) -> dict[str, dict[str, dict[str, float]]]:
    """Return GA and FTA by miner and system, and their means."""
    miners: dict[str, Callable[[Sequence[str]], Found]] = {
        "duolog": ours,
        "drain3": lambda lines: drain(lines, masks=False),
        "drain3_masks": lambda lines: drain(lines, masks=True),
    }
    found: dict[str, dict[str, dict[str, float]]] = {name: {"ga": {}, "fta": {}} for name in miners}
    for folder in folders:
        lines, truth = labelled(folder)
        for name, mine in miners.items():
            ids, texts = mine(lines)
            found[name]["ga"][folder.name] = grouping_accuracy(truth, ids)
            found[name]["fta"][folder.name] = f1_of_templates(truth, texts)
    for by_figure in found.values():
        for by_system in by_figure.values():
            by_system["mean"] = statistics.fmean(by_system.values())
    return found


def in_batches(lines: Sequence[str]) -> None:
    miner = Miner()
    for start in range(0, len(lines), BATCH):
        miner.match(lines[start : start + BATCH])


def speed(sets: dict[str, list[str]], rounds: int) -> dict[str, dict[str, float]]:
    """Return lines a second of both, and their ratio, by set."""
    found = {}
    mask(["warm 1"])
    gc.collect()
    gc.freeze()  # so that nobody pays for walking through the lines of the other sets
    for name, lines in sets.items():
        times: dict[str, list[float]] = {"duolog": [], "duolog_batches": [], "drain3_masks": []}
        for _ in range(rounds):
            times["duolog"].append(seconds(lambda batch: Miner().match(batch), lines))
            times["duolog_batches"].append(seconds(in_batches, lines))
            times["drain3_masks"].append(seconds(lambda batch: drain(batch, masks=True), lines))
        mid = {miner: statistics.median(each) for miner, each in times.items()}
        rates = {miner: len(lines) / each for miner, each in mid.items()}
        ratios = {
            "ratio": mid["drain3_masks"] / mid["duolog"],
            "ratio_batches": mid["drain3_masks"] / mid["duolog_batches"],
        }
        found[name] = {"lines": len(lines), **rates, **ratios}
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=SHARED, help="folder that holds loghub_2k and raw_throughput")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true", help="end with one JSON object")
    args = parser.parse_args()
    folders = sorted(each for each in (args.data / "loghub_2k").iterdir() if each.is_dir())
    found = quality(folders)
    print(f"{'':12}{'GA':>8}{'Drain3':>9}{'+ masks':>9}{'FTA':>10}{'Drain3':>9}{'+ masks':>9}")
    for system in (*(each.name for each in folders), "mean"):
        cells = [found[miner][figure][system] for figure in ("ga", "fta") for miner in found]
        print(
            f"{system:12}"
            + "".join(f"{cell:{width}.3f}" for cell, width in zip(cells, (8, 9, 9, 10, 9, 9), strict=True))
        )
    cold = {f"{folder.name} (2k, cold)": labelled(folder)[0] for folder in folders}
    live = {file.name.split(".")[0]: raw(file) for file in sorted((args.data / "raw_throughput").glob("*.log.gz"))}
    rates = speed(live | cold, args.rounds)
    print(f"\n{'':28}{'lines':>8}{'lines/s':>12}{'Drain3+masks':>14}{'ratio':>8}{'by 1,000':>10}")
    for name, each in rates.items():
        rate = f"{name:28}{each['lines']:8,}{each['duolog']:12,.0f}{each['drain3_masks']:14,.0f}"
        print(f"{rate}{each['ratio']:8.1f}{each['ratio_batches']:10.1f}")
    ratio = {name: each["ratio"] for name, each in rates.items()}
    figures: dict[str, Any] = {
        "speed_ratio_to_drain3": {**ratio, "throughput_least": min(ratio[name] for name in live),
                                  "throughput_median": statistics.median(ratio[name] for name in live),
                                  "cold_median": statistics.median(ratio[name] for name in cold)},
        "grouping_accuracy": {miner: each["ga"] for miner, each in found.items()},
        "fta": {miner: each["fta"] for miner, each in found.items()},
    }  # fmt: skip
    ga = figures["grouping_accuracy"]
    met = {
        f"GA >= {GOALS['ga']} on average": ga["duolog"]["mean"] >= GOALS["ga"],
        "GA >= Drain3's on every system": all(
            value >= max(ga["drain3"][system], ga["drain3_masks"][system]) for system, value in ga["duolog"].items()
        ),
        f"FTA >= {GOALS['fta']:g} x Drain3's": figures["fta"]["duolog"]["mean"]
        >= GOALS["fta"] * figures["fta"]["drain3"]["mean"],
        f"speed >= {GOALS['speed']:g} x Drain3 with masks": figures["speed_ratio_to_drain3"]["throughput_least"]
        >= GOALS["speed"],
    }
    print()
    for goal, is_met in met.items():
        print(f"{'met' if is_met else 'MISSED':8}{goal}")
    if args.json:
        print(json.dumps({**figures, "lines_per_second": rates, "met": met}))


if __name__ == "__main__":
    main()
