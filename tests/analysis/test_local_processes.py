"""Fine-tuning in several processes, really started: on the CPU over gloo, and with the real base."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest
import tiny_bases
from safetensors.torch import load_file

from analysis.analysts.local import Local, LocalOptions
from analysis.engine import distributed
from analysis.engine.finetune import Lesson
from duolog.plugins.types import NullContext
from training.generators.incidents import Incidents, Options

pytestmark = pytest.mark.slow
TYPES = ("磁盘空间不足", "暴力破解")


class Stop(BaseException):
    """Somebody cancelled the run."""


@dataclass
class Seen(NullContext):
    """Keeps what it is told, and stops at a step."""

    stop_at: int = 0
    metrics: dict[str, list[int]] = field(default_factory=dict)
    logged: list[str] = field(default_factory=list)
    steps: int = 0

    def advance(self, steps: int = 1) -> None:
        self.steps += steps

    def metric(self, name: str, value: float, step: int) -> None:
        self.metrics.setdefault(name, []).append(step)

    def log(self, message: str, level: str = "info") -> None:
        self.logged.append(message)

    def checkpoint(self, step: int = 0, save: Any = None) -> None:
        if self.stop_at and self.steps >= self.stop_at:
            raise Stop


def incidents(count: int, seed: int) -> list[Any]:
    return list(Incidents(Options(language="en", types=TYPES, normal_share=0.3)).generate(count, seed))


def test_two_processes_learn_one_adapter(base: Path, tmp_path: Path) -> None:
    analyst, ctx = Local(LocalOptions(base=str(base), processes=2, batch=1, evaluations=2, texts=0.0)), Seen()
    figures = analyst.fit(incidents(12, 1), incidents(4, 2), ctx)
    assert figures["steps"] == 6  # twelve sequences, two at a time
    assert ctx.steps == 6 and ctx.metrics["loss"] == list(range(6))
    assert ctx.metrics["validation_loss"] == [2, 6]
    analyst.save(tmp_path)
    learned = [tensor for name, tensor in load_file(tmp_path / "tensors.safetensors").items() if "lora_B" in name]
    assert all(tensor.any() for tensor in learned)  # they are zero before the first step


def tuned(base: Path, ctx: NullContext, **options: Any) -> dict[str, float]:
    """What two processes reach on a tiny base, without anything being learned here."""
    model: Any = type("Model", (), {"types": ["a", "b"], "words": [5], "adapt": lambda self, tensors: None})()
    lessons = [Lesson([1, 100 + number, 7], number % 2, [], []) for number in range(40)]
    settings = LocalOptions(processes=2, batch=1, texts=0.0, rank=4, **options)
    return distributed.tune(model, base, lessons, lessons[:4], settings, ctx)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_bases.write(tmp_path_factory.mktemp("base"), "qwen3")


def test_what_fails_in_a_process_is_said(tmp_path: Path) -> None:
    with pytest.raises(distributed.ChildFailed, match="in 2 processes failed") as failed:
        tuned(tmp_path / "absent", NullContext())
    assert "absent" in str(failed.value)


def test_a_process_that_dies_fails_the_training(base: Path) -> None:
    class Killer(Seen):
        def advance(self, steps: int = 1) -> None:
            super().advance(steps)
            if self.steps == 1:
                processes()[-1].kill()

    began = time.monotonic()
    with pytest.raises(distributed.ChildFailed, match="in 2 processes failed"):
        tuned(base, Killer(), epochs=1000.0)
    assert time.monotonic() - began < 100
    assert not processes()


def test_all_of_them_end_when_the_run_is_cancelled(base: Path) -> None:
    with pytest.raises(Stop):
        tuned(base, Seen(stop_at=2), epochs=1000.0)
    assert not processes()


def test_a_training_that_was_cut_off_goes_on_where_it_was(base: Path, tmp_path: Path) -> None:
    class Kept(Seen):
        def checkpoint(self, step: int = 0, save: Any = None) -> None:
            if save:
                save(tmp_path)
                raise Stop

        def resume(self) -> tuple[int, Path] | None:
            return (50, tmp_path) if any(tmp_path.iterdir()) else None

    with pytest.raises(Stop):
        tuned(base, Kept(), epochs=2.6)
    ctx = Kept()
    assert tuned(base, ctx, epochs=2.6)["steps"] == 52
    assert ctx.metrics["loss"] == [50, 51]


def processes() -> list[psutil.Process]:
    """The ranks that live, without their launcher."""
    found = []
    for child in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            command = child.cmdline()  # [] of one that has ended
            if "analysis.engine.distributed" in command and "accelerate.commands.launch" not in command:
                found.append(child)
    return found
