"""Patterns that users write: they run in polars' Rust regex and are tried out before they are kept."""

from __future__ import annotations

import re
import time
from collections.abc import Callable

import polars as pl

from duolog.plugins.types import Reason
from logs.engine.masking import mask

LONGEST = 1000  # characters of a pattern
SLOWEST = 40  # times what masking takes on the same text
PROBE = "2026-11-23 19:00:00 ERROR 订单服务 user=bob42 aaaaaaaa 13800000000 0x1f GET /api/v1/a?b=c 支付失败 "
SIZES = (1, 32, 512)  # probes in a text: what is slow beyond measure shows on the shortest
NAMED_GROUP = re.compile(r"\(\?P?<[A-Za-z_]")


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
        for each in (pattern, f"(?P<v>{pattern})"):  # "a)|(b" is invalid by itself, "(?x)a #" as a part
            if pl.Series([""]).str.contains(each).any():
                raise ValueError(Reason("the pattern also matches an empty text, so it would match everywhere"))
        for text in (PROBE * size for size in SIZES):
            series = pl.Series([text])
            # The first run compiles it; the least of three is what a busy machine disturbs least.
            taken = min(_seconds(lambda: series.str.count_matches(pattern)) for _ in range(3))  # noqa: B023
            if taken > SLOWEST * max(1e-4, min(_seconds(lambda: mask([text])) for _ in range(3))):  # noqa: B023
                raise ValueError(Reason("the pattern is too slow: let it repeat less, or smaller parts"))
    except pl.exceptions.ComputeError as problem:
        error = str(problem).partition("\n\nThis error occurred")[0]
        raise ValueError(Reason("the pattern is invalid: %(error)s", error=error)) from problem
    return pattern


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began
