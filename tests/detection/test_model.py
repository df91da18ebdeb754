"""The network's shapes and invariances, with small random vectors: nothing here says how good it is."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from detection.engine import loop, scoring
from detection.engine.config import MoEConfig, MoEOptions
from detection.engine.data import LogSequenceDataset, pad, windows
from detection.engine.moe import EncoderWithMoE
from duolog.plugins.options import OptionsError, build
from duolog.plugins.types import NullContext

TABLE = np.random.default_rng(0).normal(size=(40, 12)).astype(np.float32)


@pytest.fixture
def model() -> EncoderWithMoE:
    made = loop.build(MoEConfig(hidden=32, heads=4, intermediate=16, window=16), 12, seed=1)
    made.gate(on=True)
    return made


def sequences(count: int, seed: int = 0, longest: int = 60) -> list[np.ndarray]:
    chance = np.random.default_rng(seed)
    return [lines(chance.integers(0, 40, chance.integers(1, longest))) for _ in range(count)]


def lines(rows: np.ndarray) -> np.ndarray:
    """Return lines that say nothing but their row."""
    return np.pad(rows[:, None], ((0, 0), (0, 4)), constant_values=-1).astype(np.int32)


def test_one_logit_a_window_and_a_gate_for_every_line(model):
    parts = [lines(np.arange(3)), lines(np.arange(5)), lines(np.arange(1))]
    logits, (gate,), _ = model(torch.from_numpy(TABLE), pad(parts))
    assert logits.shape == (3,)
    assert gate.weights.shape == (9, 4)


def test_a_score_does_not_depend_on_its_batch_mates(model):
    rows = sequences(50)
    together = scoring.score(model, rows, TABLE, NullContext())
    alone = np.concatenate([scoring.score(model, [row], TABLE, NullContext()) for row in rows])
    np.testing.assert_allclose(together, alone, atol=1e-5)


def test_computing_each_line_once_equals_computing_every_line(model):
    """The table form is exact: it gives what projecting each mention by itself gives."""
    rows = np.array([3, 3, 7, 1, 3])
    spread = TABLE[rows]
    a = model(torch.from_numpy(TABLE), pad([lines(rows)]))
    b = model(torch.from_numpy(spread), pad([lines(np.arange(5))]))
    torch.testing.assert_close(a.logits, b.logits, atol=1e-5, rtol=1e-5)


def test_order_matters(model):
    forth, back = lines(np.arange(6)), lines(np.arange(6)[::-1])
    scores = scoring.score(model, [forth, back], TABLE, NullContext())
    assert scores[0] != pytest.approx(scores[1], abs=1e-6)


def test_windows_hold_every_line_and_a_long_sequence_scores_as_its_highest(model):
    row = sequences(1, longest=61)[0]
    row = np.resize(row, (59, 5))
    parts = windows(row, 16)
    assert {len(part) for part in parts} == {16}
    assert np.array_equal(parts[0], row[:16])
    assert np.array_equal(parts[-1], row[-16:])
    whole = scoring.score(model, [row], TABLE, NullContext())
    each = scoring.score(model, parts, TABLE, NullContext())
    assert whole[0] == pytest.approx(each.max(), abs=1e-6)


def test_no_lines_score_zero(model):
    assert scoring.score(model, [lines(np.arange(0))], TABLE, NullContext()) == [0]


def test_every_sequence_is_in_an_epoch_once_and_the_seed_gives_the_order():
    data = LogSequenceDataset(sequences(150), [number % 2 for number in range(150)], window=16)
    batches = list(data.batches(32, (0, 1)))
    assert len(batches) == data.steps(32)
    assert sum(len(batch.labels) for batch in batches) == 150
    again = list(data.batches(32, (0, 1), skip=2))
    assert all(torch.equal(a.lines, b.lines) for a, b in zip(batches[2:], again, strict=True))
    assert not torch.equal(batches[0].lines, next(data.batches(32, (0, 2))).lines)


@pytest.mark.parametrize(
    "values", [{"hidden": 30}, {"top_p": 0}, {"epochs": 0}, {"hiden": 512}, {"experts": "many"}], ids=str
)
def test_options_that_make_no_sense_are_refused(values):
    with pytest.raises(OptionsError):
        build(MoEOptions, values)


def test_blocks_can_be_stacked_and_each_has_its_gate():
    deep = loop.build(MoEConfig(hidden=32, heads=4, intermediate=16, window=16, depth=3), 12, seed=1)
    deep.gate(on=True)
    logits, gates, _ = deep(torch.from_numpy(TABLE), pad(sequences(3, longest=9)))
    assert logits.shape == (3,)
    assert len(gates) == 3
    assert all(torch.allclose(gate.weights.sum(-1), torch.ones(len(gate.weights))) for gate in gates)


def test_what_is_read_off_a_line_counts_only_once_learned_and_where_it_stands(model):
    plain = lines(np.arange(3))
    marked = plain.copy()
    marked[1, 4] = 20
    assert np.ptp(scoring.score(model, [plain, marked], TABLE, NullContext())) < 1e-6  # nothing learned yet
    with torch.no_grad():
        model.codes[20] = 1
    assert np.ptp(scoring.score(model, [plain, marked], TABLE, NullContext())) > 1e-4


def test_a_focal_loss_forgets_what_is_sure_and_smoothing_leaves_a_doubt():
    logits, labels, one = torch.tensor([4.0, -4.0]), torch.tensor([1.0, 0.0]), torch.tensor(1.0)
    plain, focal, smooth = (
        loop.sequence_loss(logits, labels, one, MoEOptions(**values)).item()
        for values in ({}, {"focal": 2.0}, {"label_smoothing": 0.1})
    )
    assert plain == pytest.approx(0.01815, abs=1e-4)
    assert focal == pytest.approx(plain * 0.01799**2, rel=1e-2)
    assert smooth == pytest.approx(plain + 0.05 * 4, abs=1e-4)


def test_the_work_of_a_sequence_is_shared_among_the_experts_of_each_block():
    deep = loop.build(MoEConfig(hidden=32, heads=4, intermediate=16, window=16, depth=2), 12, seed=1)
    deep.gate(on=True)
    weights = scoring.route(deep, [*sequences(20), lines(np.arange(0))], TABLE, NullContext())
    assert weights.shape == (21, 8)
    np.testing.assert_allclose(weights[:20].reshape(20, 2, 4).sum(-1), 1, atol=1e-6)
    assert not weights[20].any()
    assert (weights == 0).any(), "some expert was not needed somewhere"
