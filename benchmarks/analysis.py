"""What the local analyst reaches on generated incidents: `python benchmarks/analysis.py --help`.

Its base is fine-tuned on incidents in Chinese, English and both, and asked about others, no one of which has a template
sequence that training had. Beside it stand the same base untuned, the analyst `rules`, and TF-IDF with logistic
regression on the same samples. With `--adapter` what was learned is kept in a folder, and taken from there if it is.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "platform"), str(ROOT)]
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as in duolog.settings; before torch is imported

import numpy as np  # noqa: E402
from sklearn.feature_extraction.text import TfidfVectorizer  # noqa: E402
from sklearn.linear_model import LogisticRegression  # noqa: E402
from sklearn.metrics import f1_score  # noqa: E402

from analysis.analysts.local import Local, LocalOptions  # noqa: E402
from analysis.analysts.rules import Rules  # noqa: E402
from analysis.engine import grounding, schema  # noqa: E402
from duolog.plugins import guard  # noqa: E402
from duolog.plugins.points import Analyst  # noqa: E402
from duolog.plugins.types import Case, LogSequence, NullContext, Report  # noqa: E402
from logs.engine.fingerprint import fingerprints  # noqa: E402
from training.generators.incidents import Incidents, Options  # noqa: E402

GOALS = {
    "type_accuracy": 0.95, "macro_f1": 0.95, "valid_json": 1.0, "grounded": 0.99, "language_agreement": 0.98,
    "seconds_a_verdict": 0.5, "seconds_a_report": 8.0,
}  # fmt: skip
LEAST = {"seconds_a_verdict", "seconds_a_report"}
"""Of these less is better."""


class Progress(NullContext):
    """Tells now and then how the training goes."""

    def metric(self, name: str, value: float, step: int) -> None:
        """Print what the validation part says, and every fiftieth loss."""
        if name.startswith("validation") or (name == "loss" and step % 50 == 0):
            print(f"  step {step:>5}  {name} {value:.3f}", flush=True)


def incidents(count: int, seed: int) -> list[LogSequence]:
    """Return incidents, half of them in both languages at once and half in either."""
    mixed = Incidents(Options(language="mixed")).generate(count // 2, seed)
    pairs = Incidents(Options(language="pairs")).generate(count - count // 2, seed + 1)
    return [*mixed, *pairs]


def unseen(sequences: Sequence[LogSequence], seen: set[bytes]) -> list[LogSequence]:
    """Return those whose template sequence is none of `seen`."""
    hashes = fingerprints([one.entries for one in sequences])
    return [one for one, digest in zip(sequences, hashes, strict=True) if digest not in seen]


def verdicts(analyst: Analyst, sequences: Sequence[LogSequence]) -> tuple[list[str], float]:
    """Return the type that an analyst names for each, and the seconds that one took."""
    cases = [Case(one, 1.0, 0.5) for one in sequences]
    began = time.perf_counter()
    reports = guard.call(analyst, "explain", cases, (), NullContext(), _silent)
    return [report.type or schema.NORMAL for report in reports], (time.perf_counter() - began) / len(cases)


def scores(names: Sequence[str], sequences: Sequence[LogSequence]) -> dict[str, float]:
    """Return the accuracy and the macro-F1 of the type over the anomalous ones, and the accuracy over all."""
    right = np.array([kind(one) for one in sequences])
    found, anomalous = np.array(names), right != schema.NORMAL
    return {
        "type_accuracy": float(np.mean(found[anomalous] == right[anomalous])),
        "macro_f1": float(f1_score(right, found, average="macro", labels=sorted(set(right)))),
        "accuracy_with_normal": float(np.mean(found == right)),
    }


def kind(sequence: LogSequence) -> str:
    """Return what is right."""
    return sequence.type or schema.NORMAL


def peer(train: Sequence[LogSequence], test: Sequence[LogSequence]) -> list[str]:
    """Return what TF-IDF over pieces of words with logistic regression says."""
    vectorizer = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4), min_df=2, sublinear_tf=True)
    known = vectorizer.fit_transform("\n".join(one.entries) for one in train)
    model = LogisticRegression(C=20, max_iter=300).fit(known, [kind(one) for one in train])
    return list(model.predict(vectorizer.transform("\n".join(one.entries) for one in test)))


def written(analyst: Analyst, sequences: Sequence[LogSequence]) -> dict[str, float]:
    """Return the share of reports that are valid, of their claims that stand, and the seconds of a report."""
    valid, found, claims, began = 0, 0, 0, time.perf_counter()
    for one in sequences:
        report: Report = guard.call(
            analyst, "explain", [Case(one, 1.0, 0.5)], schema.LANGUAGES, NullContext(), _silent
        )[0]
        checked = grounding.check(report, one)
        valid += schema.from_json(json.loads(json.dumps(schema.as_json(report)))) is not None
        claims += len(checked.claims)
        found += sum(claim.found for claim in checked.claims)
    seconds = (time.perf_counter() - began) / len(sequences)
    return {"valid_json": valid / len(sequences), "grounded": found / max(1, claims), "seconds_a_report": seconds}


def agreement(names: Sequence[str], sequences: Sequence[LogSequence]) -> float:
    """Return the share of incidents told in both languages that get one type."""
    told: dict[str, set[str]] = {}
    for name, one in zip(names, sequences, strict=True):
        if "incident" in one.meta:
            told.setdefault(one.meta["incident"], set()).add(name)
    return float(np.mean([len(types) == 1 for types in told.values()]))


def learned(options: argparse.Namespace, train: Sequence[LogSequence], validation: Sequence[LogSequence]) -> Local:
    """Return the analyst, fine-tuned now or then."""
    settings = LocalOptions(base=options.base, epochs=options.epochs, minutes=options.minutes)
    analyst = Local(settings)
    if options.adapter and any(Path(options.adapter).glob("*")):
        analyst.load(Path(options.adapter))
        return analyst
    began = time.process_time()
    figures = analyst.fit(train, validation, Progress())
    print({name: round(value, 3) for name, value in figures.items()}, f"{time.process_time() - began:.0f} s of CPU")
    if options.adapter:
        Path(options.adapter).mkdir(parents=True, exist_ok=True)
        analyst.save(Path(options.adapter))
        analyst = Local(settings)
        analyst.load(Path(options.adapter))
    return analyst


def _silent(number: int, text: str) -> None:
    """Watch nothing."""


def main() -> int:
    """Fine-tune, measure, print a table, and tell by the exit code whether the goals are met."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", type=int, default=12_000, help="incidents to draw from (default 12000)")
    parser.add_argument("--test", type=int, default=600, help="incidents asked about (default 600)")
    parser.add_argument("--reports", type=int, default=20, help="whole reports in both languages (default 20)")
    parser.add_argument("--base", default="gemma-3-270m", help="folder or hub name (default gemma-3-270m)")
    parser.add_argument("--epochs", type=float, default=1.0, help="default 1")
    parser.add_argument("--minutes", type=float, default=30, help="fine-tuning ends by then (default 30)")
    parser.add_argument("--adapter", default="", help="folder that keeps what was learned")
    parser.add_argument("--json", action="store_true", help="end with one JSON object")
    options = parser.parse_args()
    train, validation = incidents(options.train, 1), incidents(200, 101)
    test = unseen(incidents(options.test, 201), set(fingerprints([one.entries for one in [*train, *validation]])))
    print(f"{len(train)} incidents to learn from, {len(test)} with other template sequences to be asked about")
    analyst = learned(options, train, validation)
    rows: dict[str, list[str]] = {"tf-idf + lr": peer(train, test)}
    for name, one in {"rules": Rules(), "untuned": Local(LocalOptions(base=options.base)), "local": analyst}.items():
        rows[name], seconds = verdicts(one, test)
    print(f"{'analyst':<14}{'type accuracy':>15}{'macro-F1':>10}{'with normal':>13}{'zh = en':>9}")
    for name, names in rows.items():
        told = scores(names, test)
        print(f"{name:<14}" + "{:>15.4f}{:>10.4f}{:>13.4f}".format(*told.values()) + f"{agreement(names, test):>9.4f}")
    figures = scores(rows["local"], test) | {"language_agreement": agreement(rows["local"], test)}
    figures |= {"seconds_a_verdict": seconds} | written(analyst, test[: options.reports])
    met = {name: (figures[name] <= goal) if name in LEAST else (figures[name] >= goal) for name, goal in GOALS.items()}
    for name, goal in GOALS.items():
        print(f"{name:<20}{figures[name]:>9.4f}  goal {goal:<6} {'met' if met[name] else 'MISSED'}")
    if options.json:
        print(
            json.dumps(
                {name: {"figure": round(figures[name], 4), "goal": GOALS[name], "met": met[name]} for name in GOALS}
            )
        )
    return 0 if all(met.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
