"""What an analyst says about a request: told from the plan behind it, so that all it names stands in the lines."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from logs.engine import taxonomy
from training.generators.shop.catalog import Fault, Flow, Language, Phrase, load
from training.generators.shop.stories import Line, Teller
from training.generators.shop.styles import CONSTANT

if TYPE_CHECKING:
    from training.generators.microservices import Request


@dataclass(frozen=True, slots=True)
class Event:
    """A line as a text names it: where it stands, who tells it, and the message, quoted."""

    at: str
    who: str
    said: str


def analysis(request: Request, language: Language, wording: int) -> dict[str, Any]:
    """Return the analysis of a request in one of two wordings; `root_cause` counts lines from 0.

    `category` keeps its Chinese name, which is the key of a category; `type` is in the language of the text. Both and
    `severity` are None for a healthy request.
    """
    texts, story = _texts(), request.story
    told = texts["story"][story.name]
    about = taxonomy.types().get(story.type)
    facts = _Facts(request, language)
    summary = told["summary"][language].format_map(facts)
    explanation = told[language][wording].format_map(facts)
    noise = [n for n, line in enumerate(request.lines) if _is_noise(line) and line.phrase.level in ("WARN", "ERROR")]
    if noise:
        gap = " " if language == "en" else ""
        explanation += gap + texts["noise"][language][wording].format(noise=_lines(noise, language))
    return {
        "category": story.category or None,
        "type": _type_name(story.type, language) if story.type else None,
        "severity": about.severity if about else None,
        "root_cause": request.roots,
        "summary": summary[0].upper() + summary[1:] if language == "en" else summary,
        "explanation": explanation,
        "recommendations": list(about.advice[language]) if about else told["advice"][language],
        "language": language,
    }


class _Facts(dict[str, Any]):
    """What a text may name of a request, worked out when it does."""

    def __init__(self, request: Request, language: Language) -> None:
        super().__init__()
        self.request, self.language, self.lines = request, language, request.lines
        self.told = [n for n, line in enumerate(request.lines) if not _is_noise(line)]
        self.causes = [n for n in self.told if self.lines[n].phrase in _faults()]

    def __missing__(self, name: str) -> Any:
        return getattr(self, f"_{name}")()

    def _event(self, position: int) -> Event:
        line = self.lines[position]
        said = f"“{self.request.voices[line.service].message(line)}”"
        field = next((name for name in line.phrase.fields if name in _texts()["field"]), None)
        if field and line.phrase in _faults():
            value = self.request.values[CONSTANT.index(field)]
            label = _texts()["field"][field][self.language]
            said += f"（{label}{value}）" if self.language == "zh" else f" ({label} {value})"
        return Event(_lines([position], self.language), line.service, said)

    def _begin(self) -> Event:
        return self._event(self._began())

    def _began(self) -> int:
        """Return the position of the line where it began."""
        story = self.request.story
        if self.request.roots:
            return self.request.roots[0]
        match story.name:
            case "recovered" | "recovered_twice" | "fallback":
                return self.causes[0]
            case "refused":
                return self.told[-2]
            case "slow":
                return self._first(lambda line: line.slow > 1)
            case "repeated":
                return next(n for n in self.told if self._earlier(n) is not None)
            case "together":
                return self.told[self._change()]
        return 0

    def _other(self) -> Event:
        """Return the line that the first one is told beside."""
        name, roots = self.request.story.name, self.request.roots
        if name in ("late_step", "ignored_refusal"):
            return self._event(roots[1])
        if name in ("duplicated_step", "repeated"):
            earlier = self._earlier(self._began())
            assert earlier is not None  # noqa: S101 - for the type checker
            return self._event(earlier)
        if name == "together":
            usual = _plain(self.request.story.path)[self._change()]
            return self._event(self._first(lambda line: line is usual))
        return self._event(next(n for n in self.told if n > roots[-1]))  # wrong_order, silent_failure: the next step

    def _seen(self) -> Event:
        return self._event(self._first(lambda line: line.phrase in _seen()))

    def _back(self) -> Event:
        ways = load().lines["recovered"], load().lines["fallback"]
        return self._event(self._first(lambda line: line.phrase in ways))

    def _again(self) -> Event:
        return self._event(self.causes[1])

    def _last(self) -> Event:
        return self._event(self.told[-1])

    def _path(self) -> str:
        return self.request.story.path

    def _chain(self) -> str:
        return " → ".join(dict.fromkeys(self.lines[n].service for n in self.told))

    def _spread(self) -> str:
        """Name each service but the first that tells of the fault, and the line where it does."""
        start = self._began()
        aware = {*_seen(), load().lines["abort"], load().lines["reject"]}
        met: dict[str, int] = {}
        for n in self.told:
            if n > start and self.lines[n].phrase in aware and self.lines[n].service != self.lines[start].service:
                met.setdefault(self.lines[n].service, n)
        frame = "{}（{}）" if self.language == "zh" else "{} ({})"
        return _join([frame.format(service, _lines([n], self.language)) for service, n in met.items()], self.language)

    def _retries(self) -> str:
        return _lines([n for n in self.told if self.lines[n].again], self.language)

    def _attempts(self) -> int:
        return sum(line.again for line in self.lines)

    def _repeats(self) -> str:
        first = self.lines[self._began()]
        return _lines([n for n in self.told if self.lines[n] is first], self.language)

    def _wait(self) -> int:
        start, times = self._began(), self.request.sequence.times
        return round((times[start] - times[start - 1]) * 1000)

    def _step(self) -> str:
        """Return the step of the flow that is not there."""
        there = {line.phrase for line in self.lines}
        missing = next(step for step in _flows()[self.request.story.path].steps if step.names not in there)
        names: tuple[str, ...] = getattr(missing.names, self.language)
        return names[0]

    def _type(self) -> str:
        story = self.request.story
        return _type_name(story.type or _faults()[self.lines[self._began()].phrase].type, self.language)

    def _first(self, fits: Callable[[Line], bool]) -> int:
        return next(n for n in self.told if fits(self.lines[n]))

    def _earlier(self, position: int) -> int | None:
        return next((n for n in self.told if n < position and self.lines[n] is self.lines[position]), None)

    def _change(self) -> int:
        """Return the first place in the story where another line stands than usual."""
        usual = _plain(self.request.story.path)
        return next(n for n, line in enumerate(self.request.story.lines) if line is not usual[n])


def _lines(positions: Sequence[int], language: Language) -> str:
    """Name lines as their numbered form does, which begins with 1."""
    numbers = [str(position + 1) for position in positions]
    if language == "zh":
        return "、".join(f"第{number}行" for number in numbers)
    return f"line{'s' * (len(numbers) > 1)} {_join(numbers, language)}"


def _join(names: Sequence[str], language: Language) -> str:
    if language == "zh" or len(names) < 2:
        return "、".join(names)
    return f"{', '.join(names[:-1])} and {names[-1]}"


def _is_noise(line: Line) -> bool:
    return line.phrase in _noise()


def _type_name(type_: str, language: Language) -> str:
    return type_ if language == "zh" else taxonomy.types()[type_].english


@cache
def _texts() -> Mapping[str, Any]:
    return tomllib.loads(files(__package__).joinpath("analysis.toml").read_text(encoding="utf-8"))


@cache
def _faults() -> Mapping[Phrase, Fault]:
    return {cause: fault for fault in load().faults for cause in fault.causes}


@cache
def _seen() -> frozenset[Phrase]:
    return frozenset(fault.seen for fault in load().faults)


@cache
def _noise() -> frozenset[Phrase]:
    return frozenset(load().noise)


@cache
def _flows() -> Mapping[str, Flow]:
    return {flow.path: flow for flow in load().flows}


@cache
def _plain(path: str) -> Sequence[Line]:
    return Teller(_flows()[path]).plain(lambda _: 0).lines
