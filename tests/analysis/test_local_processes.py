"""Fine-tuning in several processes, really started: on the CPU they speak through gloo, and the base is the real one."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
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


def test_two_processes_learn_one_adapter(tmp_path: Path) -> None:
    analyst, ctx = Local(LocalOptions(processes=2, batch=1, evaluations=2, texts=0.0)), Seen()
    figures = analyst.fit(incidents(12, 1), incidents(4, 2), ctx)
    assert figures["steps"] == 6  # twelve sequences, two at a time
    assert ctx.steps == 6 and ctx.metrics["loss"] == list(range(6))
    assert ctx.metrics["validation_loss"] == [2, 5]
    analyst.save(tmp_path)
    learned = [tensor for name, tensor in load_file(tmp_path / "tensors.safetensors").items() if "lora_B" in name]
    assert all(tensor.any() for tensor in learned)  # they are zero before the first step


def test_a_process_that_fails_fails_the_training(tmp_path: Path) -> None:
    options = LocalOptions(processes=2)
    model: Any = type("Model", (), {"types": ["a", "b"], "words": []})()
    lessons = [Lesson([1, 2], 0, [], [])]
    with pytest.raises(distributed.ChildFailed, match="in 2 processes failed") as failed:
        distributed.tune(model, tmp_path / "absent", lessons, lessons, options, NullContext())
    assert "absent" in str(failed.value)
