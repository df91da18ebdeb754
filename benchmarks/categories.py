"""How often an analyst names the right category of real anomalies: `python benchmarks/categories.py --help`.

Categories are the five of `logs.engine.taxonomy`, as `KINDS` maps each source's own anomaly types to them: our reading,
not the sources'. No analyst was trained on any of it, but whoever wrote the words of `rules` had read samples of all
three. Beside them TF-IDF + logistic regression, which learns the category from a few labelled sequences of each and is
tested on the rest; figures are means over draws. A source whose types fall into one category is for the analysts alone:
whoever learns there cannot err.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import sys
import warnings
from collections import Counter
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "platform"), str(ROOT)]
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as in duolog.settings; before torch is imported

import numpy as np  # noqa: E402
from sklearn.feature_extraction.text import TfidfVectorizer  # noqa: E402
from sklearn.linear_model import LogisticRegression  # noqa: E402
from sklearn.metrics import f1_score  # noqa: E402
from sklearn.pipeline import make_pipeline  # noqa: E402

from duolog.plugins import guard, registry  # noqa: E402
from duolog.plugins.options import parse_pairs  # noqa: E402
from duolog.plugins.points import Analyst  # noqa: E402
from duolog.plugins.types import Case, LogSequence, NullContext  # noqa: E402
from logs.engine.masking import mask  # noqa: E402
from logs.formats.jsonl import Jsonl  # noqa: E402

SHARED = ROOT.parent / "shared" / "data"
KINDS: dict[str, dict[str, str]] = {
    "hadoop_templates": {"machine_down": "系统", "disk_full": "系统", "network_disconnection": "网络"},
    "openstack_kalaki_raw": {"dhcp_off": "网络", "vm_destroy_after_create": "系统", "vm_undefine_after_create": "系统"},
    # Failures of the machine and its kernel; sockets between nodes, the tree network, a mount that does not answer.
    "bgl_2k_lines": {
        "KERNDTLB": "系统", "KERNSTOR": "系统", "KERNTERM": "系统", "KERNRTSP": "系统", "APPOUT": "系统",
        "KERNREC": "网络", "KERNMNTF": "网络", "APPSEV": "网络", "APPREAD": "网络", "APPRES": "网络", "APPTO": "网络",
        "APPCHILD": "应用",
    },
}  # fmt: skip
SHOTS = (5, 20)


def read(name: str, most: int) -> tuple[list[LogSequence], list[str]]:
    """Return the anomalous sequences of a source whose type is mapped, drawn at random, and their categories."""
    content = gzip.decompress((SHARED / name / "train.jsonl.gz").read_bytes())
    kinds = KINDS[name]
    found = []
    for record in Jsonl().read(BytesIO(content)):
        kind = (record.type or record.meta.get("anomaly_type")) if isinstance(record, LogSequence) else None
        if isinstance(record, LogSequence) and record.label == 1 and kind in kinds:
            found.append((record, kinds[str(kind)]))
    order = np.random.default_rng(0).permutation(len(found))[:most]
    return [found[number][0] for number in order], [found[number][1] for number in order]


def analysed(analyst: Analyst, sequences: Sequence[LogSequence]) -> list[str]:
    """Return the category that an analyst names for each sequence, "" where it calls it normal."""
    cases = [Case(sequence, 1.0, 0.5) for sequence in sequences]
    return [report.category for report in guard.call(analyst, "explain", cases, (), NullContext(), lambda *_: None)]


def learned(
    sequences: Sequence[LogSequence], truth: Sequence[str], shots: int, draws: int
) -> list[tuple[float, float]]:
    """Return accuracy and macro-F1 of each draw; a category with fewer than two more sequences is left out."""
    texts = ["\n".join(mask(sequence.entries)) for sequence in sequences]
    counts = Counter(truth)
    kept = [name for name, count in counts.items() if count >= shots + 2]
    if len(kept) < 2:
        return []
    figures = []
    for seed in range(draws):
        order = np.random.default_rng(seed).permutation(len(texts))
        train = [n for name in kept for n in [n for n in order if truth[n] == name][:shots]]
        test = [n for n in range(len(texts)) if truth[n] in kept and n not in set(train)]
        model = make_pipeline(TfidfVectorizer(token_pattern=r"\S+"), LogisticRegression(max_iter=1000, C=10.0))
        model.fit([texts[n] for n in train], [truth[n] for n in train])
        figures.append(scored([truth[n] for n in test], list(model.predict([texts[n] for n in test]))))
    return figures


def scored(truth: Sequence[str], said: Sequence[str]) -> tuple[float, float]:
    """Return accuracy and macro-F1 over the categories that occur."""
    right = float(np.mean([a == b for a, b in zip(truth, said, strict=True)]))
    return right, float(f1_score(truth, said, labels=sorted(set(truth)), average="macro", zero_division=0))


def main() -> int:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--analysts", nargs="+", default=["rules"], help="plugins by name (default: rules)")
    parser.add_argument("--option", action="append", default=[], metavar="NAME=VALUE", help="of all these analysts")
    parser.add_argument("--sources", nargs="+", choices=KINDS, default=list(KINDS), help="default: all")
    parser.add_argument("--most", type=int, default=1000, help="most sequences of a source (default 1000)")
    parser.add_argument("--draws", type=int, default=5, help="draws that are averaged (default 5)")
    parser.add_argument("--json", action="store_true", help="end with one JSON object")
    options = parser.parse_args()
    if not SHARED.is_dir():
        print(f"{SHARED} is absent; there is nothing to measure on", file=sys.stderr)
        return 2
    warnings.filterwarnings("ignore", category=UserWarning)
    given = parse_pairs(options.option)
    figures: dict[str, dict[str, dict[str, float]]] = {}
    print(f"{'source':<24}{'sequences':>10}  {'who':<20}{'accuracy':>9}{'macro-F1':>9}  named")
    for name in options.sources:
        sequences, truth = read(name, options.most)
        rows: dict[str, tuple[float, float, str]] = {}
        commonest = Counter(truth).most_common(1)[0][0]
        rows["the commonest"] = (*scored(truth, [commonest] * len(truth)), commonest)
        for each in options.analysts:
            analyst = registry.create("duolog.analysts", each, given)
            assert isinstance(analyst, Analyst)
            said = analysed(analyst, sequences)
            named = " ".join(f"{category or '-'}:{count}" for category, count in Counter(said).most_common())
            rows[each] = (*scored(truth, said), named)
        for shots in SHOTS:
            if drawn := learned(sequences, truth, shots, options.draws):
                mean = np.mean(drawn, axis=0)
                rows[f"TF-IDF + LR, {shots}"] = (float(mean[0]), float(mean[1]), "")
        for who, (accuracy, macro, named) in rows.items():
            print(f"{name:<24}{len(sequences):>10}  {who:<20}{accuracy:>9.1%}{macro:>9.3f}  {named}", flush=True)
        figures[name] = {who: {"accuracy": round(row[0], 4), "macro_f1": round(row[1], 4)} for who, row in rows.items()}
    if options.json:
        print(json.dumps(figures, ensure_ascii=False))
    return 0


if __name__ == "__main__":
    sys.exit(main())
