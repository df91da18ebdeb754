"""What a large model is asked about a sequence, and what it should answer: the rows of `alpaca` and `chat`.

The question is one of four, by a hash of the sequence's id: is it anomalous, of which type, where did it begin, or all
of that. A sequence without an analysis is asked the first. Every answer begins with the verdict.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Any, Literal, NamedTuple

from django.utils.translation import gettext

from duolog.plugins.options import OptionsError
from duolog.plugins.types import LogSequence
from logs.engine import taxonomy

Language = Literal["zh", "en"]
ASKED: dict[Language, tuple[str, str, str, str]] = {
    "zh": (
        "分析以下日志序列，判断是否存在异常：",
        "判断以下日志序列的异常类别、异常类型和严重程度：",
        "找出以下日志序列中引发异常的根因日志行：",
        "对以下日志序列进行完整的异常分析，给出结论、类别、类型、严重程度、根因、说明和处理建议：",
    ),
    "en": (
        "Analyse the following log sequence and judge whether it is anomalous:",
        "Classify the anomaly in the following log sequence by category, type and severity:",
        "Find the log lines of the following sequence in which the anomaly began:",
        "Analyse the following log sequence in full, with verdict, category, type, severity, root cause, explanation "
        "and recommendations:",
    ),
}
TELLS = (
    ("explanation",),
    ("category", "type", "severity"),
    ("root_cause",),
    ("category", "type", "severity", "root_cause", "explanation", "recommendations"),
)
SYSTEM: dict[Language, str] = {
    "zh": "你是资深的日志分析专家。只依据给出的日志行作答，引用日志时注明行号。",
    "en": "You are an expert in log analysis. Rely on the given log lines only, and name the lines you refer to.",
}
WORDS: dict[Language, dict[str, str]] = {
    "zh": {
        "verdict": "结论：", "category": "类别：", "type": "类型：", "severity": "严重程度：", "root_cause": "根因：",
        "explanation": "说明：", "recommendations": "建议：", "0": "正常", "1": "异常",
        "low": "低", "medium": "中", "high": "高", "critical": "严重",
    },
    "en": {
        "verdict": "Verdict: ", "category": "Category: ", "type": "Type: ", "severity": "Severity: ",
        "root_cause": "Root cause: ", "explanation": "Explanation: ", "recommendations": "Recommendations:",
        "0": "normal", "1": "anomalous",
        **taxonomy.CATEGORIES,
    },
}  # fmt: skip
VERDICT = re.compile(
    r"\s*(?:结论：|Verdict: *)?(?:(正常|normal)|(异常|anomalous))(?![^\s。，,.;；：:！!])", re.IGNORECASE
)
TYPE = re.compile(r"^(?:类型：|Type: *)(\S.{0,79})$", re.MULTILINE)
CHINESE = re.compile("[\u4e00-\u9fff]")


class Example(NamedTuple):
    """A question, the numbered lines it is about, and the answer."""

    language: Language
    instruction: str
    input: str
    output: str


def example(sequence: LogSequence) -> Example:
    """Return what to ask about a sequence; raise OptionsError if it has no label, as nobody knows the answer."""
    if sequence.label is None:
        text = gettext(
            "sequence %(id)s has no label, so there is no answer to learn; export a part of a split, which is labelled"
        )
        raise OptionsError(text % {"id": sequence.id})
    found = sequence.meta.get("analysis")
    # Somebody may have decided otherwise since it was written: then it explains the wrong verdict.
    told = isinstance(found, Mapping) and bool(found.get("root_cause")) == bool(sequence.label)
    analysis: Mapping[str, Any] = found if told and found else {}
    language = _language(sequence, analysis)
    task = blake2b(sequence.id.encode(), digest_size=1).digest()[0] % len(TELLS) if analysis else 0
    return Example(
        language, ASKED[language][task], numbered(sequence.entries), _answer(sequence, analysis, language, TELLS[task])
    )


def numbered(entries: Sequence[str]) -> str:
    """Return the lines as an analyst sees them: `1: first`, one below the other."""
    return "\n".join(f"{number}: {line}" for number, line in enumerate(entries, 1))


def entries(text: str) -> list[str]:
    """Return the lines of a text; where they are numbered, without their numbers."""
    if not text.startswith("1: "):
        return text.rstrip("\n").split("\n") if text.strip() else []
    found: list[str] = []
    for line in text.split("\n"):
        number = f"{len(found) + 1}: "
        if line.startswith(number):
            found.append(line[len(number) :])
        else:  # the entry before it held a line break
            found[-1] += f"\n{line}"
    return found


def stated(output: str) -> tuple[int | None, str | None]:
    """Return the label and the type that an answer states."""
    verdict = VERDICT.match(output)
    if not verdict:
        return None, None
    kind = TYPE.search(output)
    return int(verdict[2] is not None), kind[1].strip() if kind and verdict[2] else None


def _language(sequence: LogSequence, analysis: Mapping[str, Any]) -> Language:
    if (said := analysis.get("language")) in ASKED:
        return said
    return "zh" if any(map(CHINESE.search, sequence.entries)) else "en"


def _answer(sequence: LogSequence, analysis: Mapping[str, Any], language: Language, tells: Sequence[str]) -> str:
    words = WORDS[language]
    told = [words["verdict"] + words[str(sequence.label)]]
    known = {"type": sequence.type, **analysis} if sequence.label else {}
    known |= {name: analysis.get(name) for name in ("explanation", "recommendations")}
    for name in tells:
        value = known.get(name)
        if isinstance(value, str):
            told.append(words[name] + words.get(value, value))
        elif name == "root_cause" and value:
            told.append(words[name] + _lines([line + 1 for line in value], language))
        elif name == "recommendations" and value:
            told += [words[name], *(f"- {one}" for one in value)]
    return "\n".join(told)


def _lines(numbers: Sequence[int], language: Language) -> str:
    if language == "zh":
        return "、".join(f"第{number}行" for number in numbers)
    return f"line{'s' * (len(numbers) > 1)} {', '.join(map(str, numbers))}"
