"""Patterns that users write: they run in a Rust regex, and are tried out before they are kept."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from functools import lru_cache

import rurex

from duolog.plugins.types import Reason
from logs.engine.masking import mask

LONGEST = 1000  # characters of a pattern
SLOWEST = 40  # times what masking takes on the same text
PROBE = "2026-11-23 19:00:00 ERROR 订单服务 user=bob42 aaaaaaaa 13800000000 0x1f GET /api/v1/a?b=c 支付失败 "
SIZES = (1, 32, 512)  # probes in a text: what is slow beyond measure shows on the shortest
FLAGS = re.compile(r"\(\?([a-zA-Z-]+)\)(.*)", re.DOTALL)
NAMED_GROUP = re.compile(r"\(\?P?<[A-Za-z_]")


@lru_cache(maxsize=1000)  # rules are made anew each time that a process looks whether they changed
def checked(pattern: str) -> str:
    """Return a pattern that is fit for use on every line.

    Time is linear in the text for every pattern that this engine takes (no backtracking, hence no look-around and no
    back-references); what is held to SLOWEST is the constant, which large counted repetitions drive up.

    Raises:
        ValueError: if the pattern is too long, invalid, matches an empty text, or is too slow.
    """
    if len(pattern) > LONGEST:
        raise ValueError(
            Reason(
                "the pattern has %(count)d characters, at most %(most)d are allowed", count=len(pattern), most=LONGEST
            )
        )
    if NAMED_GROUP.search(pattern):
        raise ValueError(Reason("the pattern names a group, which no rule needs: all that it matches is redacted"))
    try:
        for each in (pattern, f"(?P<v>{scoped(pattern)})"):  # "a)|(b" is invalid by itself, "(?x)a #" as a part
            if rurex.compile(each).search(""):
                raise ValueError(Reason("the pattern also matches an empty text, so it would match everywhere"))
        for text in (PROBE * size for size in SIZES):
            compiled = rurex.compile(pattern)
            # The first run makes its states; the least of three is what a busy machine disturbs least.
            taken = min(_seconds(lambda: compiled.findall(text)) for _ in range(3))  # noqa: B023
            if taken > SLOWEST * max(1e-4, min(_seconds(lambda: mask([text])) for _ in range(3))):  # noqa: B023
                raise ValueError(Reason("the pattern is too slow: let it repeat less, or smaller parts"))
    except rurex.PatternError as problem:
        raise ValueError(Reason("the pattern is invalid: %(error)s", error=str(problem))) from problem
    return pattern


def scoped(pattern: str) -> str:
    """Return a pattern that may be part of another: flags for the whole of it, `(?i)a`, become `(?i:a)`."""
    return FLAGS.sub(r"(?\1:\2)", pattern)


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began
