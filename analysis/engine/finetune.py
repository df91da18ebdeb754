"""Fine-tuning: a model learns to name the type of a sequence, and to write the text that explains it.

The loss stands on the answer only: the type, among the types, and of a share of the samples the text, among the words
that texts hold. Types that are told apart already are drawn less often than those that are still confused, so that a
short training spends its time where it learns (after Shrivastava et al. 2016, https://arxiv.org/abs/1604.03540).
Batches hold sequences of like length, so next to nothing is spent on padding.
"""

from __future__ import annotations

import math
import resource
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch.nn import functional

from analysis.engine import ranks
from analysis.engine.language_model import LanguageModel
from duolog.plugins.types import Context

WARM_UP = 30
CHECKPOINTS, MOMENTS = 50, ("exp_avg", "exp_avg_sq")
POOL = 16
"""Batches that are drawn together, sorted by length and shuffled again."""
EASY, MEMORY = 0.05, 0.9
"""How often a type that is known is drawn, relative to the hardest; how slowly its loss is forgotten."""
CLIP = 1.0


@dataclass(frozen=True, slots=True)
class Lesson:
    """A sample as tokens: the prompt, the type that is right, what leads to the text, and the text, which may be []."""

    prompt: list[int]
    type: int
    lead: list[int]
    text: list[int]


class Settings(Protocol):
    """The options of an analyst that fine-tuning reads."""

    @property
    def learning_rate(self) -> float:
        """Of AdamW, at its height."""

    @property
    def batch(self) -> int:
        """Sequences a step."""

    @property
    def epochs(self) -> float:
        """How many times as many sequences are drawn as there are."""

    @property
    def minutes(self) -> float:
        """What it may take at most; 0: as long as it takes."""

    @property
    def texts(self) -> float:
        """Share of the samples of which the text is learned, too."""

    @property
    def evaluations(self) -> int:
        """How often the validation part is looked at."""

    @property
    def patience(self) -> int:
        """Evaluations without a better one that end it; 0: none do."""

    @property
    def seed(self) -> int:
        """Of all that is drawn."""


@dataclass(frozen=True, slots=True)
class Judged:
    """What a model makes of lessons: logits [lessons, types], and their mean loss."""

    logits: np.ndarray[tuple[int, int], np.dtype[np.float32]]
    loss: float

    def accuracy(self, lessons: Sequence[Lesson]) -> float:
        """Return the share of the types that are right."""
        return float(np.mean(self.logits.argmax(1) == [lesson.type for lesson in lessons]))


def tune(
    model: LanguageModel, train: Sequence[Lesson], validation: Sequence[Lesson], settings: Settings, ctx: Context
) -> dict[str, float]:
    """Teach the model's adapter; the one that was best on the validation part stays. Return figures of the training.

    `minutes` bounds it, if not 0; `patience` evaluations without a better one end it. A run that was cut off goes on
    from its last checkpoint: order, adapter and optimiser are those of then. In several processes
    (`analysis.engine.distributed`) each draws batches of its own, and only rank 0 has figures to return.
    """
    steps = max(1, math.ceil(settings.epochs * len(train) / settings.batch / ranks.size()))
    optimiser = torch.optim.AdamW(model.parameters(), lr=settings.learning_rate, weight_decay=0.0)
    school = _School(train, len(model.types), settings)
    began = school.resume(model, optimiser, ctx)
    ranks.share(model.parameters())
    best, best_loss, worse, tokens, clock = model.adapter(), math.inf, 0, 0, time.monotonic()
    every = max(1, steps // settings.evaluations)
    ctx.stage("fine-tuning", total=steps)
    ctx.advance(began)
    for step in range(began, steps):
        share = step / steps
        if settings.minutes:  # the rate falls with the time that is left, whichever ends first
            share = ranks.agree(max(share, (time.monotonic() - clock) / 60 / settings.minutes))
        if share >= 1:
            break
        rate = settings.learning_rate * min(1, (step + 1) / WARM_UP) * max(0.05, 0.5 * (1 + math.cos(math.pi * share)))
        for group in optimiser.param_groups:
            group["lr"] = rate
        batch = school.next()
        loss, losses, read = _losses(model, batch, settings, school.draw)
        optimiser.zero_grad()
        loss.backward()
        ranks.average(model.parameters())
        torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        optimiser.step()
        school.note(batch, losses)
        tokens += read * ranks.size()
        ctx.metric("loss", float(loss), step)
        ctx.metric("tokens_per_second", tokens / (time.monotonic() - clock), step)
        ctx.advance()
        if (step + 1) % every == 0 or step + 1 == steps:
            if ranks.rank() == 0:
                judged = judge(model, validation, settings.batch, ctx)
                ctx.metric("validation_loss", judged.loss, step)
                ctx.metric("validation_accuracy", judged.accuracy(validation), step)
                worse = 0 if judged.loss < best_loss else worse + 1
                if judged.loss < best_loss:
                    best, best_loss = model.adapter(), judged.loss
            worse = int(ranks.agree(worse))
            if settings.patience and worse >= settings.patience:
                ctx.log(f"no better for {worse} evaluations: stops at step {step + 1} of {steps}")
                break
        save = school.saver(model, optimiser, step + 1) if (step + 1) % CHECKPOINTS == 0 else None
        ctx.checkpoint(step + 1, save)
    if ranks.rank():
        return {}
    model.adapt(best)
    judged = judge(model, validation, settings.batch, ctx)
    seconds = time.monotonic() - clock
    return {
        "loss": judged.loss,
        "type_accuracy": judged.accuracy(validation),
        "steps": step + 1,
        "seconds": seconds,
        "tokens_per_second": tokens / seconds,
        "memory_mb": _memory(),
    }


def judge(model: LanguageModel, lessons: Sequence[Lesson], batch: int, ctx: Context) -> Judged:
    """Return what the model makes of lessons, in order, without their texts."""
    logits = np.zeros((len(lessons), len(model.types)), np.float32)
    order = sorted(range(len(lessons)), key=lambda number: len(lessons[number].prompt))
    with torch.inference_mode():
        for start in range(0, len(order), batch):
            chosen = order[start : start + batch]
            prompts = [lessons[number].prompt for number in chosen]
            logits[chosen] = model.decide(_ends(model.hidden(prompts), prompts)).cpu().numpy()
            ctx.checkpoint()
    right = torch.tensor([lesson.type for lesson in lessons])
    return Judged(logits, float(functional.cross_entropy(torch.from_numpy(logits), right)))


class _School:
    """Draws batches; which ones depends on the seed and on the losses so far."""

    def __init__(self, lessons: Sequence[Lesson], types: int, settings: Settings) -> None:
        self.lessons, self.settings = lessons, settings
        self.draw = np.random.default_rng([settings.seed, 0, ranks.rank()])
        self.members = [[n for n, lesson in enumerate(lessons) if lesson.type == kind] for kind in range(types)]
        self.queues: list[list[int]] = [[] for _ in self.members]
        self.losses = np.full(types, math.log(max(2, types)))
        self.batches: list[list[Lesson]] = []

    def next(self) -> list[Lesson]:
        """Return the next batch."""
        if not self.batches:
            size = self.settings.batch
            drawn = sorted(self._choose(POOL * size), key=lambda lesson: len(lesson.prompt))
            self.batches = [drawn[start : start + size] for start in range(0, len(drawn), size)]
            self.draw.shuffle(self.batches)
        return self.batches.pop()

    def note(self, batch: Sequence[Lesson], losses: Sequence[float]) -> None:
        """Keep in mind how hard the types of a batch were."""
        for lesson, loss in zip(batch, losses, strict=True):
            self.losses[lesson.type] = MEMORY * self.losses[lesson.type] + (1 - MEMORY) * loss

    def _choose(self, count: int) -> list[Lesson]:
        # As often as a type is there, and the less often the better it is known.
        weights = np.array([len(members) for members in self.members]) * np.maximum(
            self.losses / self.losses.max(), EASY
        )
        chosen = []
        for kind in self.draw.choice(len(weights), count, p=weights / weights.sum()):
            if not self.queues[kind]:
                self.queues[kind] = list(self.draw.permutation(self.members[kind]))
            chosen.append(self.lessons[self.queues[kind].pop()])
        return chosen

    def saver(self, model: LanguageModel, optimiser: torch.optim.Optimizer, step: int) -> _Saver:
        """Return what writes a checkpoint."""
        return _Saver(model, optimiser, self.losses.copy())

    def resume(self, model: LanguageModel, optimiser: torch.optim.Optimizer, ctx: Context) -> int:
        """Take up the last checkpoint, if there is one, and return how many steps were done."""
        kept = ctx.resume()
        if kept is None:
            return 0
        step, folder = kept
        model.adapt(load_file(folder / "adapter.safetensors"))
        moments = load_file(folder / "optimiser.safetensors")
        self.losses = moments.pop("losses").double().numpy()
        self.draw = np.random.default_rng([self.settings.seed, step, ranks.rank()])
        for number, parameter in enumerate(model.parameters()):
            optimiser.state[parameter] = {name: moments[f"{number}.{name}"].to(parameter.device) for name in MOMENTS}
            optimiser.state[parameter]["step"] = torch.tensor(float(step))
        return step


@dataclass(frozen=True)
class _Saver:
    model: LanguageModel
    optimiser: torch.optim.Optimizer
    losses: np.ndarray[tuple[int], np.dtype[np.float64]]

    def __call__(self, folder: Path) -> None:
        save_file(self.model.adapter(), folder / "adapter.safetensors")
        moments = {"losses": torch.from_numpy(self.losses)}
        for number, parameter in enumerate(self.model.parameters()):
            state = self.optimiser.state[parameter]
            moments |= {f"{number}.{name}": state[name].detach().cpu().contiguous() for name in MOMENTS}
        save_file(moments, folder / "optimiser.safetensors")


def _losses(
    model: LanguageModel, batch: Sequence[Lesson], settings: Settings, draw: np.random.Generator
) -> tuple[torch.Tensor, list[float], int]:
    """Return the loss to learn from, that of each lesson's type, and how many tokens were read."""
    # All or none of a batch: beside a text, prompts alone would be half padding.
    told = [bool(lesson.text) for lesson in batch] if draw.random() < settings.texts else [False] * len(batch)
    rows = [
        lesson.prompt + (lesson.lead + lesson.text if with_text else [])
        for lesson, with_text in zip(batch, told, strict=True)
    ]
    with torch.autocast(model.device.type, dtype=torch.bfloat16, enabled=model.model.dtype == torch.bfloat16):
        states = model.hidden(rows)
    right = torch.tensor([lesson.type for lesson in batch], device=model.device)
    each = functional.cross_entropy(
        model.decide(_ends(states, [lesson.prompt for lesson in batch])), right, reduction="none"
    )
    loss = each.mean()
    if any(told):
        loss = loss + _text_loss(model, states, [(n, batch[n]) for n, with_text in enumerate(told) if with_text])
    return loss, each.detach().tolist(), sum(map(len, rows))


def _text_loss(model: LanguageModel, states: torch.Tensor, lessons: Sequence[tuple[int, Lesson]]) -> torch.Tensor:
    """Return the mean loss of the texts' tokens, among the words of texts and of these prompts."""
    words = torch.tensor(
        sorted({*model.words, *(token for _, one in lessons for token in one.prompt)}), device=model.device
    )
    parts, wanted = [], []
    for number, lesson in lessons:
        start = len(lesson.prompt) + len(lesson.lead) - 1
        parts.append(states[number, start : start + len(lesson.text)])
        wanted += lesson.text
    logits = torch.cat(parts) @ model.rows(words).to(states.dtype).T
    return functional.cross_entropy(logits.float(), torch.searchsorted(words, torch.tensor(wanted).to(model.device)))


def _ends(states: torch.Tensor, prompts: Sequence[Sequence[int]]) -> torch.Tensor:
    """Return the states [n, width] at the last token of each prompt."""
    return states[torch.arange(len(prompts)), [len(prompt) - 1 for prompt in prompts]]


def _memory() -> float:
    """Return the most memory that was used: the GPU's where there is one, else this process's."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
