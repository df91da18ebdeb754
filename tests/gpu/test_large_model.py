"""The local analyst on a GPU: weights of 4 bits, and a verdict in a twentieth of a second."""

from __future__ import annotations

import statistics
import time

import pytest
import torch

from analysis.analysts.local import Local, LocalOptions
from duolog.plugins.types import Case, NullContext
from training.generators.incidents import Incidents, Options

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")]


def test_it_learns_in_four_bits_and_decides_at_once() -> None:
    made = list(Incidents(Options(language="mixed")).generate(120, 1))
    analyst = Local(LocalOptions(evaluations=1, batch=4))
    figures = analyst.fit(made[:100], made[100:], NullContext())
    assert analyst._ready.backend in ("unsloth, nf4", "peft, nf4, cuda")
    assert figures["steps"] == 25
    seconds = []
    for one in made[100:]:
        began = time.perf_counter()
        (report,) = analyst.explain([Case(one, 0.9, 0.5)], (), NullContext(), lambda number, text: None)
        seconds.append(time.perf_counter() - began)
        assert 0 < report.confidence <= 1
    print(f"a verdict takes {1000 * statistics.median(seconds):.0f} ms")
