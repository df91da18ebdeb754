"""The analyst `local` with its real base model: it learns, is kept, and writes what can only be right in form."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import tiny_bases

from analysis.analysts.local import Local, LocalOptions
from analysis.engine.compact import compact
from analysis.engine.schema import NORMAL
from duolog.plugins import guard
from duolog.plugins.types import Case, LogSequence, NullContext, Report
from training.generators.incidents import Incidents, Options

pytestmark = pytest.mark.slow
TYPES = ("磁盘空间不足", "暴力破解")
FEW = LocalOptions(epochs=1.0, texts=0.4, evaluations=1, batch=4)


class Stop(BaseException):
    """The worker was killed."""


@dataclass
class Kept(NullContext):
    """Keeps checkpoints, and stops where it is told to, as a worker that is killed."""

    folder: Path
    stop_at: int = 0
    saved: list[tuple[int, Path]] = field(default_factory=list)

    def checkpoint(self, step: int = 0, save: Any = None) -> None:
        if save:
            place = self.folder / str(step)
            place.mkdir()
            save(place)
            self.saved.append((step, place))
        if self.stop_at and step >= self.stop_at:
            raise Stop

    def resume(self) -> tuple[int, Path] | None:
        return self.saved[-1] if self.saved else None


def incidents(count: int, seed: int) -> list[LogSequence]:
    return list(Incidents(Options(language="pairs", types=TYPES, normal_share=0.3)).generate(count, seed))


def explained(analyst: Local, *sequences: LogSequence, languages: Any = ("zh", "en"), types: Any = ()) -> list[Report]:
    cases = [Case(one, 0.9, 0.5, types=types) for one in sequences]
    reports: list[Report] = guard.call(analyst, "explain", cases, languages, NullContext(), lambda number, text: None)
    return reports


@pytest.fixture(autouse=True)
def _short(monkeypatch: Any) -> None:
    """Who has learned for half a minute does not know when to stop."""
    monkeypatch.setattr("analysis.engine.writing.LONGEST", 40)


@pytest.fixture(scope="module")
def tuned(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Local, Path]]:
    """An analyst that was taught two types, and the folder that keeps it."""
    analyst = Local(FEW)
    figures = analyst.fit(incidents(72, 1), incidents(12, 2), NullContext())
    assert figures["type_accuracy"] > 0.6  # a third by chance
    folder = tmp_path_factory.mktemp("adapter")
    analyst.save(folder)
    loaded = Local(FEW)
    loaded.load(folder)
    yield loaded, folder


def test_it_tells_types_apart_after_a_hundred_samples(tuned: tuple[Local, Path]) -> None:
    asked = incidents(30, 3)
    reports = explained(tuned[0], *asked, languages=())
    right = [report.type == (one.type or "") for report, one in zip(reports, asked, strict=True)]
    assert sum(right) >= 20
    assert all(report.anomalous == bool(report.type) and not report.texts for report in reports)


def test_a_report_is_one_verdict_in_both_languages(tuned: tuple[Local, Path]) -> None:
    one = next(one for one in incidents(10, 4) if one.label)
    (report,) = explained(tuned[0], one)
    assert report.texts.keys() == {"zh", "en"}
    assert report.usage.prompt_tokens > 20 and report.usage.completion_tokens > 20
    quotes = compact(one).quotes
    assert all(evidence.quote == quotes[evidence.line] for evidence in report.evidence)
    if report.anomalous:
        assert report.texts["zh"].recommendations and report.texts["en"].recommendations


def test_a_report_is_the_same_whoever_stands_beside_it(tuned: tuple[Local, Path]) -> None:
    one, other, third = incidents(3, 5)
    alone = explained(tuned[0], one, languages=("zh",))[0]
    beside = explained(tuned[0], other, one, third, languages=("zh",))[1]
    assert (alone.type, alone.confidence, alone.texts) == (beside.type, beside.confidence, beside.texts)


def test_only_types_that_the_case_allows_are_answered(tuned: tuple[Local, Path]) -> None:
    reports = explained(tuned[0], *incidents(10, 6), languages=(), types=("暴力破解",))
    assert {report.type for report in reports} <= {"暴力破解", ""}
    assert all(report.probabilities.keys() == {NORMAL, *TYPES} for report in reports)


def test_what_is_watched_grows_into_the_text(tuned: tuple[Local, Path]) -> None:
    seen: list[str] = []
    one = incidents(1, 8)[0]
    analyst: Any = tuned[0]
    (report,) = guard.call(
        analyst, "explain", [Case(one, 0.9, 0.5)], ("zh",), NullContext(), lambda number, text: seen.append(text)
    )
    assert len(seen) > 5 and seen[0] in seen[-1]
    assert report.texts["zh"].summary in seen[-1]


def test_an_adapter_of_other_weights_is_refused(tuned: tuple[Local, Path], monkeypatch: Any) -> None:
    other = Local(FEW)
    monkeypatch.setitem(other.__dict__, "_digest", "0" * 64)
    with pytest.raises(guard.PluginError, match="other weights"):
        guard.call(other, "load", tuned[1])


def test_a_training_that_was_cut_off_goes_on_where_it_was(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr("analysis.engine.finetune.CHECKPOINTS", 2)
    train, validation = incidents(16, 1), incidents(4, 2)
    few = replace(FEW, base=str(tiny_bases.write(tmp_path / "base", "gemma3_text")))
    (tmp_path / "kept").mkdir()
    ctx = Kept(tmp_path / "kept", stop_at=3)
    with pytest.raises(Stop):
        Local(few).fit(train, validation, ctx)
    assert [step for step, _place in ctx.saved] == [2]
    ctx.stop_at = 0
    figures = Local(few).fit(train, validation, ctx)
    assert figures["steps"] == 4
    assert [step for step, _place in ctx.saved] == [2, 4]


def test_without_labels_there_is_nothing_to_learn(tmp_path: Path) -> None:
    few = replace(FEW, base=str(tiny_bases.write(tmp_path, "gemma3_text")))
    with pytest.raises(ValueError, match="labelled sequences"):
        Local(few).fit([LogSequence("one", ("a line",))], [LogSequence("two", ("a line",))], NullContext())
