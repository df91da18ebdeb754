"""The analyst `local`: a small language model on this machine, fine-tuned to the team's own findings."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from analysis.engine import gemma_wheel, verdict
from analysis.engine.compact import Compact, cite, compact, quote
from analysis.engine.schema import NORMAL
from detection.engine import pretrained
from duolog.plugins.points import Analyst, Needs
from duolog.plugins.types import Case, Context, Draft, Evidence, Language, LogSequence, Report, Usage, Wording
from logs.engine import taxonomy

if TYPE_CHECKING:
    from analysis.engine.finetune import Lesson
    from analysis.engine.language_model import LanguageModel
    from analysis.engine.writing import Writer

CITED = 5
"""Lines that a report cites as evidence, the first ones its text names."""


@dataclass(frozen=True)
class LocalOptions:
    """`base` is a folder, `gemma-3-270m` (from PyPI wheels, no hub needed) or a hub name such as Qwen/Qwen3-4B-Base.

    `texts` is the share of the samples of which the text is learned, too, and not the type alone; `minutes` bounds the
    training (0: it does not); `patience` evaluations without a better one, of `evaluations` in all, end it (0: never).
    Several `processes` learn together, one a GPU, each by `batch` sequences a step.
    """

    base: str = gemma_wheel.NAME
    rank: int = 16
    learning_rate: float = 6e-4
    batch: int = 8
    epochs: float = 1.0
    minutes: float = 0.0
    texts: float = 0.25
    evaluations: int = 8
    patience: int = 3
    seed: int = 0
    processes: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.rank <= 256:
            raise ValueError("rank must lie between 1 and 256")
        if min(self.batch, self.evaluations, self.processes) < 1 or min(self.minutes, self.patience) < 0:
            raise ValueError("batch, evaluations and processes must be at least 1, minutes and patience at least 0")
        if self.learning_rate <= 0 or self.epochs <= 0:
            raise ValueError("learning_rate and epochs must be above 0")
        if not 0 <= self.texts <= 1:
            raise ValueError("texts must lie between 0 and 1")


@dataclass(frozen=True, slots=True)
class Kind:
    """What is known of a type beside its name, from the taxonomy or else from the samples that had it."""

    category: str
    severity: str
    advice: Mapping[str, Sequence[str]]


class Local(Analyst):
    """Names the type by one pass over the lines, then writes the text, in each language from that one verdict."""

    Options = LocalOptions
    options: LocalOptions
    learns: ClassVar[bool] = True
    needs: ClassVar[Needs] = Needs(packages=("torch", "transformers", "peft", "llguidance"))

    def __init__(self, options: LocalOptions | None = None) -> None:
        super().__init__(options)
        self.kinds: dict[str, Kind] = {}
        self._model: LanguageModel | None = None

    # --- explaining ---------------------------------------------------------------------------------------------

    def explain(self, cases: Sequence[Case], languages: Sequence[Language], ctx: Context, draft: Draft) -> list[Report]:
        """Return a report a case; each is written by itself, so that no case can change another one's report."""
        if self._model is None:
            self._begin()
        reports = []
        for number, case in enumerate(cases):
            ctx.checkpoint()
            reports.append(self._explain(case, languages, lambda text, number=number: draft(number, text)))
        return reports

    def _explain(self, case: Case, languages: Sequence[Language], draft: Any) -> Report:
        from analysis.engine.writing import Task

        began, read = time.perf_counter(), compact(case.sequence, case.blame)
        prompt = self._prompt(read, case.sequence)
        chances = self._chances(prompt, case.types)
        kind = max(chances, key=lambda name: chances[name])
        known = self.kinds.get(kind)
        tasks = [Task(prompt + self._lead(kind, language), read) for language in languages]
        drafts = [""] * len(tasks)

        def watch(number: int, text: str) -> None:
            drafts[number] = quote(text, read.quotes, languages[number])[0]
            draft("\n\n".join(drafts))

        written = self._writer.write(tasks, watch) if tasks else []
        texts: dict[Language, Wording] = {}
        cited: list[int] = []
        for language, (text, _count) in zip(languages, written, strict=True):
            said, lines = quote(text, read.quotes, language)
            summary, _, cause = said.strip().partition("\n")
            advice = known.advice.get(language, ()) if known else ()
            # Who has not learned to write may put nothing but spaces there.
            texts[language] = Wording(summary or kind, cause.strip(), tuple(advice))
            cited += lines
        cited = list(dict.fromkeys(cited))[:CITED]
        return Report(
            anomalous=kind != NORMAL,
            category=known.category if known else "",
            type=kind if known else "",
            severity=known.severity if known else "",
            confidence=round(chances[kind], 3),
            evidence=tuple(Evidence(line, read.quotes[line]) for line in cited),
            texts=texts,
            probabilities=chances,
            usage=Usage(
                model=Path(self.options.base).name,
                prompt_tokens=len(prompt),
                completion_tokens=sum(count for _text, count in written),
                seconds=time.perf_counter() - began,
            ),
        )

    def _chances(self, prompt: list[int], allowed: Sequence[str]) -> dict[str, float]:
        """Return the probability of each type that is known here and allowed there; normal always is."""
        import torch

        model = self._ready
        with torch.inference_mode():
            logits = model.decide(model.hidden([prompt])[:, -1])[0].cpu()
            shut = [n for n, name in enumerate(model.types) if allowed and name not in (NORMAL, *allowed)]
            if len(shut) < len(model.types) - 1:  # else it knows none of them, and its own have to do
                logits[shut] = -torch.inf
        return {name: round(chance, 6) for name, chance in zip(model.types, logits.softmax(0).tolist(), strict=True)}

    # --- learning -----------------------------------------------------------------------------------------------

    def fit(self, train: Sequence[LogSequence], validation: Sequence[LogSequence], ctx: Context) -> Mapping[str, float]:
        """Learn the types that the labels name, and to explain them where `meta["analysis"]` does."""
        from analysis.engine import distributed, finetune

        self._open(self.options.rank)
        model = self._ready
        ctx.log(f"fine-tunes {self.options.base} by {model.backend}")
        train, validation = ([one for one in part if _type(one)] for part in (train, validation))
        self.kinds = _kinds(train)
        lessons = self._teach([NORMAL, *self.kinds], train)
        checks = [one for one in validation if _type(one) in model.types]
        if not lessons or not checks:
            raise ValueError("fine-tuning needs labelled sequences, the anomalous ones with a type, in both parts")
        checked = [self._lesson(one) for one in checks]
        if self.options.processes > 1:
            return distributed.tune(model, self._folder, lessons, checked, self.options, ctx)
        return finetune.tune(model, lessons, checked, self.options, ctx)

    def save(self, folder: Path) -> None:
        """Write the adapter, and what is known of the types; the base model stays where it is."""
        from detection.engine import serialize

        model = self._ready
        tensors = {name: tensor.numpy() for name, tensor in model.adapter().items()}
        kinds = {name: asdict(kind) for name, kind in self.kinds.items()}
        state = {"base": self._digest, "types": model.types, "words": model.words, "kinds": kinds}
        serialize.save(folder, tensors, state)

    def load(self, folder: Path) -> None:
        """Take up an adapter and make it one with the base model."""
        import torch

        tensors, state = self._kept(folder)
        self._open(self.options.rank)
        model = self._ready
        model.knows(state["types"], state["words"])
        model.adapt({name: torch.from_numpy(tensor) for name, tensor in tensors.items()})
        model.merge()
        self.kinds = {name: Kind(**kind) for name, kind in state["kinds"].items()}

    def export(self, folder: Path, out: Path) -> None:
        """Write what `save` wrote, made one with its base, as a model folder for other servers."""
        import torch

        from analysis.engine import language_model

        tensors, _state = self._kept(folder)
        adapter = {name: torch.from_numpy(tensor) for name, tensor in tensors.items()}
        language_model.export(self._folder, self.options.rank, adapter, out)

    # --- helpers ------------------------------------------------------------------------------------------------

    @cached_property
    def _folder(self) -> Path:
        return pretrained.resolve(self.options.base, {gemma_wheel.NAME: gemma_wheel.ensure})

    @cached_property
    def _digest(self) -> str:
        return pretrained.digest(self._folder)

    def _kept(self, folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
        from detection.engine import serialize

        tensors, state = serialize.load(folder)
        if state["base"] != self._digest:
            raise ValueError(f"the adapter was trained on other weights of {self.options.base}")
        return tensors, state

    @property
    def _ready(self) -> LanguageModel:
        assert self._model is not None  # noqa: S101 - for the type checker
        return self._model

    @cached_property
    def _writer(self) -> Writer:
        from analysis.engine.writing import Writer

        return Writer(self._ready)

    def _open(self, rank: int) -> None:
        from analysis.engine.language_model import LanguageModel

        self._model = LanguageModel(self._folder, rank=rank, seed=self.options.seed)
        self.__dict__.pop("_writer", None)

    def _begin(self) -> None:
        """Take the base as it is: it knows the taxonomy by name, and writes without having learned to."""
        self._open(0)
        self.kinds = {name: Kind(one.category, one.severity, one.advice) for name, one in taxonomy.types().items()}
        advice = (told for kind in self.kinds.values() for told in kind.advice.values())
        texts = ["\n[0123456789]", *(text for told in advice for text in told)]
        self._ready.knows([NORMAL, *self.kinds], [token for text in texts for token in self._ready.ids(text)])

    def _prompt(self, read: Compact, sequence: LogSequence) -> list[int]:
        """Return the question; what the rules say is a part of it, and whether to believe them is learned."""
        from analysis.engine.language_model import ASK

        # Without blame, of which training knows nothing.
        rules = verdict.judge(Case(sequence, 1.0, 0.5)).type or NORMAL
        return self._ready.ids(read.text + ASK.format(rules=rules), first=True)

    def _lead(self, kind: str, language: Language) -> list[int]:
        from analysis.engine.language_model import TONGUES

        return self._ready.ids(kind + TONGUES[language])

    def _teach(self, types: Sequence[str], train: Sequence[LogSequence]) -> list[Lesson]:
        """Return the lessons, and let the model know the words that they hold."""
        model = self._ready
        model.knows(types, model.ids("\n[0123456789]"))
        lessons = [self._lesson(one) for one in train]
        model.knows(types, [*model.words, *(token for lesson in lessons for token in lesson.text)])
        return lessons

    def _lesson(self, sequence: LogSequence) -> Lesson:
        from analysis.engine.finetune import Lesson

        read, kind = compact(sequence), _type(sequence)
        lead, text = [], []
        told = sequence.meta.get("analysis") or {}
        if told.get("summary") and told.get("explanation") and told.get("language") in ("zh", "en"):
            lead = self._lead(kind, told["language"])
            text = self._ready.ids("".join(f"{cite(told[part], sequence)}\n" for part in ("summary", "explanation")))
        return Lesson(self._prompt(read, sequence), self._ready.types.index(kind), lead, text)


def _type(sequence: LogSequence) -> str:
    """Return the type that a label names; "" where there is no label, or an anomaly without a type."""
    return NORMAL if sequence.label == 0 else sequence.type or ""


def _kinds(sequences: Sequence[LogSequence]) -> dict[str, Kind]:
    """Return what is known of the types of these sequences, in the order of their names."""
    told: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for sequence in sequences:
        if sequence.label:
            told[_type(sequence)].append(sequence.meta.get("analysis") or sequence.meta)
    return {name: _kind(name, told[name]) for name in sorted(told)}


def _kind(name: str, told: Sequence[Mapping[str, Any]]) -> Kind:
    if known := taxonomy.types().get(name):
        return Kind(known.category, known.severity, known.advice)
    said = {part: Counter(one[part] for one in told if one.get(part)) for part in ("category", "severity")}
    category = next((one for one, _ in said["category"].most_common() if one in taxonomy.CATEGORIES), "应用")
    severity = next((one for one, _ in said["severity"].most_common() if one in taxonomy.SEVERITIES), "medium")
    advice = {one["language"]: one["recommendations"] for one in told if one.get("recommendations")}
    return Kind(category, severity, advice)
