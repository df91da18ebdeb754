"""Analysis sets: incidents of the synthetic shop, and what an analyst says about each.

A sample is a sequence whose `meta["analysis"]` holds the answer (`training.generators.shop.explain.analysis`), so that
a set is an ordinary dataset. It is told from the plan behind the sequence: whatever it names stands in the lines.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count as numbers
from itertools import islice
from typing import Literal

from django.utils.translation import gettext

from duolog.plugins.options import OptionsError
from duolog.plugins.points import Generator
from duolog.plugins.types import LogSequence
from logs.engine.fingerprint import fingerprints
from training.generators import microservices
from training.generators.microservices import FAULTY, HEALTHY, Shop, anomaly_types, spread, wanted
from training.generators.shop import catalog
from training.generators.shop.catalog import LANGUAGES, Language
from training.generators.shop.draws import Draws, roll
from training.generators.shop.explain import analysis
from training.generators.shop.stories import Story

TRIES = 500
"""Incidents that are thrown away one after the other, because they were told already, before giving up."""
LEFT_OUT = {"language", "category", "root_cause"}
"""Of a sequence's meta: the analysis says it."""


@dataclass(frozen=True)
class Options:
    """What the set holds: each anomaly type as often as any other, and each healthy story as often as any other.

    With a `normal_share` of a quarter a healthy story is as frequent as a type. `language` is that of lines and text;
    mixed: services differ in theirs, and the text is in either; pairs: each incident twice, in Chinese and in English.
    The other options are those of the generator `microservices`.
    """

    language: Literal["zh", "en", "mixed", "pairs"] = "zh"
    normal_share: float = 0.25
    types: tuple[str, ...] = ()
    teams: int = 50
    noise: float = 0.08
    services: int = 10
    min_lines: int = 6
    max_lines: int = 15

    def __post_init__(self) -> None:
        if not 0 <= self.normal_share <= 1:
            raise ValueError(gettext("normal_share must lie between 0 and 1"))
        self.shop("zh")

    def shop(self, language: Literal["zh", "en", "mixed"]) -> microservices.Options:
        """Return the options of a shop that logs in this language."""
        shared = {field.name for field in dataclasses.fields(microservices.Options)} - {"language"}
        values = {name: value for name, value in dataclasses.asdict(self).items() if name in shared}
        return microservices.Options(language=language, **values)


class Incidents(Generator):
    """Analysed incidents, no two of which have the same template sequence."""

    Options = Options

    def generate(self, count: int, seed: int) -> Iterator[LogSequence]:
        """Yield `count` samples; a pair's members follow each other, and share `meta["incident"]`.

        Memory grows by one hash a sample. Raises OptionsError if the options leave too little to tell.
        """
        desk = _Desk(self.options, seed)
        return islice((sample for number in numbers() for sample in desk.incident(number)), count)


class _Desk:
    """Chooses incidents, has them told, and keeps in mind which were told already."""

    def __init__(self, options: Options, seed: int) -> None:
        self.options, self.seed = options, seed
        languages = LANGUAGES if options.language == "pairs" else (options.language,)
        self.shops = [Shop(options.shop(language), seed) for language in languages]
        self.types = list(options.types) or anomaly_types()
        self.stories = {type_: spread(wanted((type_,))) for type_ in self.types}
        self.healthy = list(HEALTHY)
        self.normals = int(options.normal_share * 65_536)
        self.told: set[bytes] = set()

    def incident(self, number: int) -> list[LogSequence]:
        """Return one sample, or a pair."""
        normals = number * self.normals >> 16
        if (number + 1) * self.normals >> 16 > normals:
            type_, names = "", [self.healthy[normals % len(self.healthy)]]
        else:
            type_ = self.types[(number - normals) % len(self.types)]
            names = self.stories[type_]
        for attempt in range(TRIES):
            draw = Draws("incident", self.seed, number, attempt)
            story = self._story(draw, names[draw(len(names))], type_)
            if story is None or len(story.lines) > self.options.max_lines:
                continue
            samples = self._tell(number, attempt, story, draw)
            hashes = set(fingerprints([sample.entries for sample in samples]))
            if len(hashes) == len(samples) and hashes.isdisjoint(self.told):
                self.told |= hashes
                return samples
        text = gettext(
            "no new incident (%(kind)s) after %(made)d others; ask for fewer, or for more teams, noise or lines"
        )
        raise OptionsError(text % {"kind": type_ or names[0], "made": len(self.told)})

    def _story(self, draw: Draws, name: str, type_: str) -> Story | None:
        """Return a story of any flow that can tell it."""
        flows, faults = self.shops[0].flows, catalog.load().faults
        tell = getattr(flows[draw(len(flows))], name)
        if name not in FAULTY:
            found: Story | None = tell(draw)
            return found
        struck = [fault for fault in faults if type_ in ("", fault.type)]
        found = tell(draw, struck[draw(len(struck))])
        return found

    def _tell(self, number: int, attempt: int, story: Story, draw: Draws) -> list[LogSequence]:
        """Have each shop tell the same story with the same values."""
        wording, spoken, name = draw(2), LANGUAGES[draw(2)], f"inc_{self.seed}_{number:07d}"
        samples = []
        for shop in self.shops:
            told_in = shop.options.language
            language: Language = spoken if told_in == "mixed" else told_in
            paired = {"incident": name} if len(self.shops) > 1 else {}
            key = f"{name}_{language}" if paired else name
            request = shop.request(key, story, roll("told", self.seed, number, attempt))
            meta = {name: value for name, value in request.sequence.meta.items() if name not in LEFT_OUT}
            meta |= paired | {"analysis": analysis(request, language, wording)}
            samples.append(dataclasses.replace(request.sequence, meta=meta))
        return samples
