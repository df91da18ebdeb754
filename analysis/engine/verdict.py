"""The verdict of the rules: words and course of a sequence, weighed against each other."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from analysis.engine.shape import Shape, shapes
from analysis.engine.signs import LINES, WIDTH, Read, compiled, read_lines, total
from duolog.plugins.types import Case
from logs.engine import taxonomy

UNNAMED = "服务调用失败"
"""The type where lines complain in words of no type: something was asked for and did not work is all that is known."""
MISSING = "步骤缺失"
"""The type where no line complains and the course shows nothing: what lines cannot show is what did not happen."""
FAINT = 0.4
"""What such a presumption weighs."""
LEAST = 0.7
"""Words that weigh less say nothing."""
OVERCOME = 0.2
"""What is left of a complaint that a later line says was overcome."""
LATER = 0.8
"""What a complaint weighs that is not the first: callers name the fault of others in their own words."""
SMOOTHED = 0.05

How = Literal["words", "shape", "unnamed", "nothing", "other", "recovered", "refused", "healthy"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is wrong, why that is thought, and the lines that bear it out, the first of them foremost.

    `type` and `category` are "" where nothing is. `after` is a line that followed, `last` the one it ended with.
    """

    how: How
    type: str
    category: str
    severity: str
    confidence: float
    probabilities: Mapping[str, float]
    lines: tuple[Read, ...]
    after: Read | None = None
    last: Read | None = None
    cut: bool = False


def judge(case: Case) -> Verdict:
    """Weigh a case."""
    lines = read_lines(case)
    cut = len(lines) < len(case.sequence.entries) or any(len(line) > WIDTH for line in case.sequence.entries[:LINES])
    if not lines:
        return Verdict("healthy", "", "", "", 1.0, {}, ())
    back = max((place for place, one in enumerate(lines) if "overcome" in one.signs), default=-1)
    standing = [one for place, one in enumerate(lines) if one.complains and place > back]
    past = [one for place, one in enumerate(lines) if one.complains and place < back]
    found = shapes(lines, case.sequence.times)
    scores = worded(lines, back)
    for each in found:
        scores[each.type] += each.weight
    spoken = max(scores.values(), default=0.0) >= LEAST
    if not found and not standing and past and lines[back].signs:
        return Verdict("recovered", "", "", "", 0.6, {}, (past[0], lines[back]), cut=cut)
    if not found and refused(standing):
        return Verdict(
            "refused", "", "", "", 0.5, {}, (next(one for one in standing if "refusal" in one.signs),), cut=cut
        )
    presumed = UNNAMED if standing else MISSING
    if not spoken or presumed == UNNAMED:
        scores[presumed] += FAINT
    chosen, share = choose(case, lines, scores)
    shape = next((one for one in found if one.type == chosen), None)
    how: How = "shape" if shape else "words" if spoken else "unnamed" if standing else "nothing"
    about = taxonomy.types().get(chosen)
    if about is None or (not spoken and chosen != presumed):
        how = how if spoken else "other"
        about = about or taxonomy.types()[max(scores, key=lambda name: scores[name])]
    shown = cited(case, lines, chosen, shape, standing or past)
    others = [
        one for one in lines if one.complains and one.line > shown[0].line and one.component != shown[0].component
    ]
    last = lines[-1] if lines[-1].line > shown[0].line else None
    return Verdict(
        how, chosen, about.category, about.severity, round(min(share[chosen], 0.95), 3), share, shown,
        others[0] if others and others[0] is not last else None, last, cut,
    )  # fmt: skip


def noticed(one: Read) -> bool:
    """Whether a line tells of the fault of another, and not only of what was tried against it."""
    return one.complains and "retry" not in one.signs


def worded(lines: Sequence[Read], back: int) -> defaultdict[str, float]:
    """Return how strongly words speak for each type; a statement that occurs again counts once."""
    first = next((place for place, one in enumerate(lines) if one.complains), 0)
    weights: defaultdict[str, dict[str, float]] = defaultdict(dict)
    for place, one in enumerate(lines):
        if "overcome" in one.signs:
            continue
        factor = one.factor * (OVERCOME if place < back else 1.0) * (1.0 if place == first else LATER)
        for name, weight in one.types.items():
            weights[name][one.message] = max(weights[name].get(one.message, 0.0), weight * factor)
    return defaultdict(float, {name: total(list(each.values())) for name, each in weights.items()})


def refused(standing: Sequence[Read]) -> bool:
    """Whether all that complains is a refusal for a stated reason and the answer that tells of it."""
    reasons = [one for one in standing if "refusal" in one.signs and max(one.types.values(), default=0) < 5]
    rest = [one for one in standing if one not in reasons]
    return bool(reasons) and all("failed" in one.signs and not any(v >= 5 for v in one.types.values()) for one in rest)


def choose(case: Case, lines: Sequence[Read], scores: Mapping[str, float]) -> tuple[str, dict[str, float]]:
    """Return the best of the types that may be answered, and each one's share."""
    own = {name: score for name in case.types if (score := of_its_name(name, lines, scores)) is not None}
    asked = own if case.types else {name: scores.get(name, 0.0) for name in taxonomy.types()}
    whole = sum(asked.values()) + SMOOTHED * len(asked)
    share = {name: (score + SMOOTHED) / whole for name, score in asked.items()}
    return max(share, key=lambda name: share[name]), share


def of_its_name(name: str, lines: Sequence[Read], scores: Mapping[str, float]) -> float:
    """Return the score of a type: of a project's own, by the words that it is made of."""
    known = taxonomy.types()
    plain = " ".join(re.split(r"[\W_]+", name.casefold())).strip()
    if name in known:
        return scores.get(name, 0.0)
    same = [each for each in known.values() if each.english == plain]
    if same:
        return scores.get(same[0].name, 0.0)
    parts = tuple(re.escape(part) for part in plain.split() if len(part) > 2 or not part.isascii())
    if not parts:
        return 0.0
    pattern = compiled(parts)
    return total([one.factor for one in {each.message: each for each in lines}.values() if pattern.search(one.words)])


def cited(
    case: Case, lines: Sequence[Read], chosen: str, shape: Shape | None, complaints: Sequence[Read]
) -> tuple[Read, ...]:
    """Return up to three lines that bear the type out, the foremost first."""
    if shape:
        return tuple(one for number in shape.lines for one in lines if one.line == number)[:3]
    told = [one for one in lines if one.types.get(chosen) and "overcome" not in one.signs]
    told.sort(key=lambda one: (-one.types[chosen] * one.factor, one.line))
    distinct = list({one.message: one for one in reversed(told)}.values())[::-1][:3]
    if distinct:
        return (distinct[0], *sorted(distinct[1:], key=lambda one: one.line))
    if complaints:
        return tuple(complaints[:3])
    return (max(lines, key=lambda one: (case.blame[one.line] if one.line < len(case.blame) else 0.0, one.line)),)
