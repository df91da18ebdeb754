"""A synthetic shop of five to ten microservices that logs in Chinese, English or both.

The label belongs to the sequence and never to a line (`training.generators.shop.stories`). A sequence depends on the
seed and its own number only, so any part of a set can be made anywhere, and a million take no more memory than one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from struct import Struct
from typing import Any, Literal, NamedTuple

from duolog.plugins.points import Generator
from duolog.plugins.types import LogSequence
from training.generators.shop import catalog, stories
from training.generators.shop.catalog import LANGUAGES, SERVICES, WORDINGS, Fault, Language
from training.generators.shop.draws import Draws, binomial, details, roll
from training.generators.shop.stories import Line, Story, Teller
from training.generators.shop.styles import STYLE_NAMES, STYLES
from training.generators.shop.writer import Voice, Writer

EPOCH = 1_767_571_200  # 2026-01-05 00:00:00 UTC
DAYS, DAY_SECONDS = 90, 86_400
MOMENTS = (DAY_SECONDS - 1200) * 1000  # milliseconds of the day in which requests begin: none crosses midnight
VARIANTS = 512  # of the stories of a flow, and of the details of a request
TRIES = 4
DIALECTS = 50
MOST_LINES = 40

SLOT = Struct(">HHH")
"""How the random bytes of a sequence begin: flow, anomalous or not, variant."""
REST = Struct(">6x HHBBIBI8s")
"""How they go on: team, details, noisy lines, day, time of day, thread, order, trace."""
NOISE = REST.size
"""Where the bytes of noisy lines begin, two for each."""
GAPS = NOISE + 2 * MOST_LINES
"""Where the bytes for the time before each line begin, one for each; MOST_LINES of them end within a `roll`."""

HEALTHY = {
    "plain": 24, "recovered": 20, "recovered_twice": 8, "fallback": 10, "refused": 12, "slow": 12, "together": 8,
    "repeated": 6,
}  # fmt: skip
"""How often each healthy story is told; one that a flow cannot tell becomes `plain`."""
ANOMALOUS = {
    "cascade": 12, "no_recovery": 10, "retry_storm": 8, "relapse": 10, "swallowed": 10, "ignored_refusal": 7,
    "missing_step": 10, "wrong_order": 12, "late_step": 6, "duplicated_step": 8, "silent_failure": 10,
    "latent_slowness": 5,
}  # fmt: skip
"""The same for anomalous ones; where a flow cannot tell one, another flow does."""
FAULTY = frozenset(
    {"recovered", "recovered_twice", "fallback", "cascade", "no_recovery", "retry_storm", "relapse", "swallowed"}
)


@dataclass(frozen=True)
class Options:
    """What the shop's traffic looks like.

    `types` keeps only these anomaly types (empty: all). In each of `teams` deployments of the shop every service keeps
    to one house style and one dialect, which has one wording for each phrase. `styles` and `wordings` narrow the choice
    of layouts and of words, so that a test can use templates that training never saw.
    """

    language: Literal["zh", "en", "mixed"] = "zh"
    anomaly_share: float = 0.3
    noise: float = 0.08  # chance of an unrelated line after any line
    services: int = 10
    min_lines: int = 6
    max_lines: int = 15
    types: tuple[str, ...] = ()
    teams: int = 1
    styles: tuple[str, ...] = STYLE_NAMES
    wordings: tuple[int, ...] = tuple(range(WORDINGS))

    def __post_init__(self) -> None:
        for name in ("anomaly_share", "noise"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must lie between 0 and 1")
        if not 5 <= self.services <= len(SERVICES):
            raise ValueError(f"services must lie between 5 and {len(SERVICES)}")
        if not 15 <= self.max_lines <= MOST_LINES:  # a story may take 15
            raise ValueError(f"max_lines must lie between 15 and {MOST_LINES}")
        if not 1 <= self.min_lines <= self.max_lines:
            raise ValueError("min_lines must lie between 1 and max_lines")
        if not 1 <= self.teams <= 1000:
            raise ValueError("teams must lie between 1 and 1000")
        if unknown := set(self.types) - set(anomaly_types()):
            raise ValueError(f"unknown types {', '.join(sorted(unknown))}; known are {', '.join(anomaly_types())}")
        if not self.styles or set(self.styles) - set(STYLE_NAMES):
            raise ValueError(f"styles must name some of {', '.join(STYLE_NAMES)}")
        if not self.wordings or set(self.wordings) - set(range(WORDINGS)):
            raise ValueError(f"wordings must name some of 0 to {WORDINGS - 1}")


def anomaly_types() -> list[str]:
    """Return the types of `logs.engine.taxonomy` that the shop can tell."""
    return list(dict.fromkeys([*(fault.type for fault in catalog.load().faults), *stories.STRUCTURAL.values()]))


class Microservices(Generator):
    """Requests through a call graph, as the services on their way log them."""

    Options = Options

    def generate(self, count: int, seed: int) -> Iterator[LogSequence]:
        """Yield `count` sequences; the same seed and options give the same text on any machine."""
        shop = Shop(self.options, seed)
        for number in range(count):
            yield shop.tell(number)


class Request(NamedTuple):
    """A sequence and the plan behind it: its story, and of each line (noise too) what was to be told, and by whom."""

    sequence: LogSequence
    story: Story
    lines: Sequence[Line]
    roots: Sequence[int]
    voices: Mapping[str, Voice]
    values: Sequence[str]  # in the order of CONSTANT


class Shop:
    """Tells requests under one set of options. Stories and details of requests recur, so they are made once."""

    def __init__(self, options: Options, seed: int) -> None:
        self.options, self.seed = options, seed
        here = frozenset(SERVICES[: options.services])
        self.flows = [Teller(flow) for flow in catalog.load().flows if flow.services <= here]
        self.faults = catalog.load().faults
        self.struck = [fault for fault in self.faults if not options.types or fault.type in options.types]
        self.healthy, self.anomalous = spread(HEALTHY), spread(wanted(options.types))
        self.anomalies = int(options.anomaly_share * 65_536)
        first = datetime.fromtimestamp(EPOCH, UTC).date()
        self.days = [(first + timedelta(days=day)).isoformat() for day in range(DAYS)]
        languages: tuple[Language, ...] = LANGUAGES if options.language == "mixed" else (options.language,)
        chosen = [style for style in STYLES if style.name in options.styles]
        voices = [
            Voice(style, language, dialect, options.wordings)
            for style in chosen
            for language in languages
            for dialect in range(DIALECTS)
        ]
        self.teams = []
        for team in range(options.teams):
            draw = Draws("team", seed, team)
            self.teams.append({service: voices[draw(len(voices))] for service in SERVICES})
        self.stories: dict[tuple[int, bool, int], Story] = {}
        self.details = [details(Draws("details", number)) for number in range(VARIANTS)]
        self.writer = Writer()
        self.strewn = [binomial(length, options.noise) for length in range(options.max_lines + 1)]

    def tell(self, number: int) -> LogSequence:
        """Return one sequence."""
        dice = roll(self.seed, number)
        flow, chance, variant = SLOT.unpack_from(dice)
        slot = flow % len(self.flows), chance < self.anomalies, variant % VARIANTS
        story = self.stories.get(slot) or self._story(*slot)
        return self.request(f"seq_{self.seed}_{number:07d}", story, dice).sequence

    def request(self, name: str, story: Story, dice: bytes) -> Request:
        """Tell a story, which has no more lines than are allowed, as the sequence with the id `name`."""
        team, variant, strewn, day, moment, thread, order, random = REST.unpack_from(dice)
        voices, day, trace = self.teams[team % len(self.teams)], day % DAYS, random.hex()
        values = (
            self.days[day], trace, str(1 + thread % 20), story.path, str(story.status), str(order),
            *self.details[variant % VARIANTS],
        )  # fmt: skip
        lines, roots = self._with_noise(story, strewn, dice)
        midnight = EPOCH + day * DAY_SECONDS
        entries, times = self.writer.write(lines, voices, values, midnight, moment % MOMENTS, dice[GAPS:])
        meta: dict[str, Any] = {
            "services": story.services,
            "trace_id": trace,
            "language": self.options.language,
            "path": story.path,
            "story": story.name,
        }
        if story.type:
            meta["category"], meta["root_cause"] = story.category, roots
        sequence = LogSequence(name, entries, int(bool(story.type)), story.type or None, times, meta)
        return Request(sequence, story, lines, roots, voices, values)

    def _story(self, number: int, anomalous: bool, variant: int) -> Story:
        """Return a story that the flow can tell within the lines allowed; one that cannot leaves it to the next."""
        teller, draw = self.flows[number], Draws("story", number, anomalous, variant)
        names = self.anomalous if anomalous else self.healthy
        faults: Sequence[Fault] = self.struck if anomalous else self.faults
        for _ in range(TRIES):
            name = names[draw(len(names))]
            tell = getattr(teller, name)
            story: Story | None = tell(draw, faults[draw(len(faults))]) if name in FAULTY else tell(draw)
            if story and len(story.lines) <= self.options.max_lines:
                break
        else:
            after = (number + 1) % len(self.flows)
            story = self._story(after, anomalous, variant) if anomalous else teller.plain(draw)
        self.stories[number, anomalous, variant] = story
        return story

    def _with_noise(self, story: Story, strewn: int, dice: bytes) -> tuple[list[Line], list[int]]:
        """Strew unrelated lines over the story, as far as there is room, and move the root cause along."""
        told, roots = list(story.lines), list(story.root_cause)
        strewn = max(self.strewn[len(told)][strewn], self.options.min_lines - len(told))
        noise = catalog.load().noise
        for at in range(NOISE, NOISE + 2 * min(strewn, self.options.max_lines - len(told)), 2):
            place = 1 + dice[at] % len(told)
            told.insert(place, stories.line(told[place - 1].service, noise[dice[at + 1] % len(noise)]))
            roots = [root + (root >= place) for root in roots]
        return told, roots


def spread(weights: Mapping[str, int]) -> list[str]:
    """Return each name as often as it weighs."""
    return [name for name, weight in weights.items() for _ in range(weight)]


def wanted(types: Sequence[str]) -> Mapping[str, int]:
    """Return the anomalous stories that lead to one of the types."""
    if not types:
        return ANOMALOUS
    faulty = {fault.type for fault in catalog.load().faults} & set(types)
    return {
        name: weight
        for name, weight in ANOMALOUS.items()
        if (faulty if name in FAULTY else stories.STRUCTURAL[name] in types)
    }
