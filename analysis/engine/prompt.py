"""What a chat model is asked about a case: rules that never change first, then the lines, fenced as data.

The fence is named after a hash of all that stands inside, so no line can hold the words that end it. Lines are
numbered as in exported training sets (`logs.formats.instruction`).
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from functools import cache
from hashlib import blake2b
from importlib.resources import files
from typing import Any

from analysis.engine import schema
from analysis.engine.lines import fit, shown
from duolog.plugins.types import Case, Language, Precedent
from logs.engine import taxonomy

CHINESE = re.compile("[\u4e00-\u9fff]")
LEAST = 400
"""Characters that lines must have at least, whatever the rest takes."""
MARKED, EXAMPLES, EXAMPLE = 5, 3, 800
"""Lines that are called the most blamed; similar findings that are told, and the characters of one."""


@cache
def _words() -> Mapping[str, Any]:
    return tomllib.loads(files(__package__).joinpath("prompt.toml").read_text(encoding="utf-8"))


def messages(case: Case, languages: Sequence[Language], *, budget_characters: int) -> list[dict[str, str]]:
    """Return the messages, a system's and a user's, by which a model is asked for `schema.reply_schema`'s answer.

    They are in the language of the sequence and have at most `budget_characters` together; what is left out of a long
    sequence is said where it was. Raises ValueError if the budget is too small for the rules and a few lines.
    """
    language = spoken(case)
    system = _rules(case, languages, language)
    room = budget_characters - len(system) - len(_user(case, language, "", []))
    if room < LEAST:
        least = budget_characters - room + LEAST
        raise ValueError(f"a prompt of {budget_characters} characters has no room for lines; {least} are needed")
    examples: list[str] = []
    for precedent in case.similar[:EXAMPLES]:
        told = _example(precedent, language, min(EXAMPLE, room // 6))
        longer = len(_user(case, language, "", [*examples, told])) - len(_user(case, language, "", examples))
        if room - longer < LEAST:
            break
        examples.append(told)
        room -= longer
    lines = fit([shown(one) for one in case.sequence.entries], _blamed(case), room, _words()[language]["gap"])
    user = _user(case, language, lines, examples)
    return [{"role": "system", "content": system}, {"role": "user", "content": user}]


def again(case: Case, asked: Sequence[Mapping[str, str]], answer: str, error: str) -> list[dict[str, str]]:
    """Return the messages that ask once more, after an answer that was no report; `error` says what was wrong."""
    told = _words()[spoken(case)]["again"].format(error)
    return [*map(dict, asked), {"role": "assistant", "content": answer}, {"role": "user", "content": told}]


def spoken(case: Case) -> Language:
    """Return the language of a sequence: Chinese if any of its lines holds any."""
    return "zh" if any(map(CHINESE.search, case.sequence.entries)) else "en"


def _rules(case: Case, languages: Sequence[Language], language: Language) -> str:
    words = _words()[language]
    limits = {
        "categories": words["comma"].join(taxonomy.CATEGORIES),
        "severities": words["comma"].join(taxonomy.SEVERITIES),
        "quotes": schema.QUOTES, "quote": schema.QUOTE, "summary": schema.SUMMARY, "cause": schema.CAUSE,
        "advice": schema.ADVICE, "pieces": schema.PIECES,
    }  # fmt: skip
    told = [words["rules"]]
    for name in schema.reply_schema(case, languages)["properties"]:
        plain, _separator, tongue = name.rpartition("_")
        member = words["members"][plain if tongue in schema.LANGUAGES else name]
        told.append(f"  {name}{words['colon']}{member.format(language=words.get(tongue, ''), **limits)}")
    told.append(words["types"])
    known = taxonomy.types()
    groups: dict[str, list[str]] = {}
    for name in schema.answers(case)[1:]:
        kind = known.get(name)
        label = f"{name} ({kind.english})" if kind and language == "en" else shown(name)
        category = kind.category if kind else words["other"]
        title = f"{category} ({taxonomy.CATEGORIES[category]})" if kind and language == "en" else category
        groups.setdefault(title, []).append(label)
    told += [f"- {title}{words['colon']}{words['comma'].join(names)}" for title, names in groups.items()]
    return "\n".join(told)


def _user(case: Case, language: Language, lines: str, examples: Sequence[str]) -> str:
    words = _words()[language]
    code = _code(lines, *examples)
    told = []
    if examples:
        told.append(words["similar"])
        for example, precedent in zip(examples, case.similar, strict=False):
            told.append(_fenced(words["example"], code, example))
            verdict = words["anomalous"] if precedent.anomalous else words["normal"]
            told.append(verdict.format(shown(precedent.type)))
    count = len(case.sequence.entries)
    told.append(words["score"].format(count=count, score=case.score, threshold=case.threshold))
    told.append(_fenced(words["lines"], code, lines))
    if blamed := _blamed(case):
        shares = [words["share"].format(line + 1, case.blame[line]) for line in blamed]
        told.append(words["blame"].format(words["comma"].join(shares)))
    told.append(words["ask"])
    return "\n".join(told)


def _example(precedent: Precedent, language: Language, room: int) -> str:
    return fit([shown(one) for one in precedent.entries], [], room, _words()[language]["gap"])


def _fenced(name: str, code: str, text: str) -> str:
    return f"<{name} {code}>\n{text}\n</{name} {code}>"


def _code(*texts: str) -> str:
    """Return a code that none of the texts holds: a line cannot hold a hash of itself."""
    code = blake2b("\n".join(texts).encode(), digest_size=8).hexdigest()
    while any(code in text for text in texts):
        code = blake2b(code.encode(), digest_size=8).hexdigest()
    return code


def _blamed(case: Case) -> list[int]:
    """Return the lines that the score hangs on most, the first first."""
    weights = case.blame[: len(case.sequence.entries)]
    order = sorted(range(len(weights)), key=lambda line: -weights[line])
    return [line for line in order[:MARKED] if weights[line] >= 0.05]
