"""Top-P routing: who computes a line, and with which weight."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from detection.engine.config import MoEConfig
from detection.engine.moe import Gate, TopPMoE, balance_loss, entropy_loss

CONFIG = MoEConfig(hidden=16, heads=2, intermediate=8)


def gate_for(logits: list[float], top_p: float) -> Gate:
    """The gate of one line whose router says `logits`."""
    layer = TopPMoE(MoEConfig(hidden=16, heads=2, experts=len(logits), intermediate=8, top_p=top_p))
    layer.gated = True
    with torch.no_grad():
        layer.router.weight.zero_()
        layer.router.weight[:, 0] = torch.tensor(logits)
        return layer.gate(torch.eye(16)[:1])


@settings(deadline=None)  # torch's first call loads its kernels
@given(
    logits=st.lists(st.floats(-8, 8), min_size=1, max_size=8),
    top_p=st.floats(0.05, 1.0),
)
def test_the_fewest_likeliest_experts_that_reach_p_are_kept_and_renormalised(logits, top_p):
    gate = gate_for(logits, top_p)
    weights, probabilities = gate.weights[0].double(), gate.probabilities[0].double()
    kept = weights > 0
    assert kept.any()
    assert weights.sum().item() == pytest.approx(1, abs=1e-5)
    mass = probabilities[kept].sum().item()
    assert mass >= top_p - 1e-5
    assert mass - probabilities[kept].min().item() < top_p + 1e-5, "one expert fewer would have been enough"
    assert not (~kept).any() or probabilities[~kept].max() <= probabilities[kept].min() + 1e-7
    torch.testing.assert_close(weights[kept], probabilities[kept] / mass, atol=1e-5, rtol=1e-4)


def test_a_sure_router_uses_one_expert_and_an_unsure_one_all_it_needs():
    assert (gate_for([9, 0, 0, 0], 0.8).weights > 0).sum() == 1
    assert (gate_for([0, 0, 0, 0], 0.8).weights > 0).sum() == 4
    assert (gate_for([0, 0, 0, 0], 0.5).weights > 0).sum() == 2


def test_without_the_gate_every_expert_weighs_the_same():
    layer = TopPMoE(CONFIG)
    x = torch.randn(5, 16)
    assert torch.equal(layer.gate(x).weights, torch.full((5, 4), 0.25))
    layer.gated = True
    assert not torch.equal(layer.gate(x).weights, torch.full((5, 4), 0.25))


def test_the_one_matrix_product_equals_expert_by_expert():
    layer = TopPMoE(CONFIG)
    layer.gated = True
    x = torch.randn(7, 16)
    mixed, gate = layer(x)
    inner, outer = layer.inner.weight.view(4, 8, 16), layer.outer.weight.view(16, 4, 8)
    for line in range(7):
        expected = torch.zeros(16)
        for expert in range(4):
            hidden = torch.nn.functional.gelu(inner[expert] @ x[line] + layer.inner.bias.view(4, 8)[expert])
            expected += gate.weights[line, expert] * (outer[:, expert] @ hidden + layer.bias[expert])
        torch.testing.assert_close(mixed[line], expected, atol=1e-5, rtol=1e-4)


def gate_of(probabilities: torch.Tensor) -> Gate:
    return Gate(probabilities, probabilities, probabilities.log())


def test_balance_and_entropy_losses_have_their_least_and_most_where_the_papers_say():
    even = gate_of(torch.eye(4))
    collapsed = gate_of(torch.eye(4)[[0, 0, 0, 0]])
    unsure = gate_of(torch.full((4, 4), 0.25))
    assert balance_loss(even).item() == pytest.approx(1)
    assert balance_loss(collapsed).item() == pytest.approx(4)
    assert entropy_loss(even).item() == pytest.approx(0)
    assert entropy_loss(unsure).item() == pytest.approx(torch.tensor(4.0).log().item())
