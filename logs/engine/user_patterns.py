"""Patterns that users write: they run in polars' Rust regex and are tried out before they are kept."""

from __future__ import annotations

import re
import time

import polars as pl

from logs.engine.masking import mask

LONGEST = 1000  # characters of a pattern
SLOWEST = 40  # times what masking takes on the same text
PROBE = "2026-11-23 19:00:00 ERROR 订单服务 user=bob42 aaaaaaaa 13800000000 0x1f GET /api/v1/a?b=c 支付失败 "
SIZES = (1, 32, 512)  # probes in a text: a pattern that is slow beyond measure shows on the shortest


def checked(pattern: str) -> str:
    """Return a pattern that is fit for use on every line.

    Time is linear in the text for every pattern that this engine takes (no backtracking, hence no look-around and no
    back-references); what counts to SLOWEST is the constant, which large counted repetitions drive up.

    Raises:
        ValueError: if the pattern is too long, invalid, matches an empty text, or is too slow.
    """
    if len(pattern) > LONGEST:
        raise ValueError(f"the pattern has {len(pattern)} characters; {LONGEST} at most")
    if re.search(r"\(\?P?<[A-Za-z_]", pattern):
        raise ValueError(
            f"the pattern {pattern!r} names a group, which no rule needs: what it matches as a whole is redacted"
        )
    try:
        if pl.Series([""]).str.contains(f"{pattern}|(?:{pattern})").any():  # whole by itself, and as a part
            raise ValueError(f"the pattern {pattern!r} also matches an empty text, so it would match everywhere")
        for size in SIZES:
            text = PROBE * size
            if _seconds(pattern, text) > SLOWEST * max(_masking(text), 1e-4):
                raise ValueError(f"the pattern {pattern!r} is too slow: repeat less, or smaller parts")
    except pl.exceptions.ComputeError as problem:
        reason = str(problem).partition("\n\nThis error occurred")[0]
        raise ValueError(f"the pattern {pattern!r} is invalid: {reason}") from problem
    return pattern


def _seconds(pattern: str, text: str) -> float:
    series = pl.Series([text])
    spent = []
    for _ in range(3):  # the first compiles it
        began = time.perf_counter()
        series.str.count_matches(pattern)
        spent.append(time.perf_counter() - began)
    return min(spent)


def _masking(text: str) -> float:
    spent = []
    for _ in range(3):
        began = time.perf_counter()
        mask([text])
        spent.append(time.perf_counter() - began)
    return min(spent)
