"""What can be chosen about the small model; without torch, so that a web process can show and check it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class MoEConfig:
    """Shape of the model; the defaults are the seed's.

    `top_p` is the gate probability that the experts of a line must reach together. `window` is the most lines the
    attention sees at once; a longer sequence is judged by its most suspicious window (see `LogSequenceDataset`).
    """

    hidden: int = 512
    heads: int = 8
    experts: int = 4
    intermediate: int = 256
    top_p: float = 0.8
    depth: int = 1  # blocks of attention and experts
    window: int = 256

    def __post_init__(self) -> None:
        if self.hidden < 1 or self.heads < 1 or self.hidden % self.heads or self.hidden % 2:
            raise ValueError("hidden must be even and a multiple of heads")
        if min(self.experts, self.intermediate, self.depth) < 1 or self.window < 2:
            raise ValueError("experts, intermediate and depth must be at least 1, window at least 2")
        if not 0 < self.top_p <= 1:
            raise ValueError("top_p must lie above 0 and be at most 1")


@dataclass(frozen=True)
class Training:
    """How the model learns: `epochs` with all experts alike, then as many with the gate.

    Where root causes are marked, the model also learns to tell them from other lines, which teaches it what of an
    anomalous sequence matters; `causes` weighs that. With `class_weights` the rarer label counts more. `focal` is
    the exponent of the focal loss (0: cross-entropy; Lin et al. 2017, arXiv:1708.02002). With a `patience`, either
    stage ends when the PR-AUC on the validation part has not risen for so many epochs, and goes on from its best
    weights (0: never). `accumulate` batches make one step. With `encoder_trainable` the encoder learns, too, at a
    rate of its own (`detection.engine.tuning`).
    """

    epochs: int = 2
    batch: int = 64
    learning_rate: float = 1e-4
    weight_decay: float = 0.01
    balance: float = 0.01  # weight of the load-balancing loss, as in arXiv:2403.07652
    entropy: float = 1e-4  # weight of the router's entropy, as there
    router_z: float = 1e-3  # weight of the router's z-loss, as in ST-MoE, arXiv:2202.08906
    causes: float = 3.0  # weight of the loss on lines, where root causes are marked
    class_weights: bool = True
    focal: float = 0.0
    label_smoothing: float = 0.0
    patience: int = 0
    accumulate: int = 1
    encoder_trainable: bool = False
    encoder_learning_rate: float = 2e-5  # as BERT's authors fine-tune, arXiv:1810.04805
    seed: int = 0

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.batch < 1 or min(self.learning_rate, self.encoder_learning_rate) <= 0:
            raise ValueError("epochs and batch must be at least 1, learning rates above 0")
        if self.focal < 0 or self.patience < 0 or self.accumulate < 1:
            raise ValueError("focal and patience must be at least 0, accumulate at least 1")
        if not 0 <= self.label_smoothing < 1:
            raise ValueError("label_smoothing must be at least 0 and below 1")


@dataclass(frozen=True)
class MoEOptions(Training, MoEConfig):
    """All of it, flat, as a person or a form gives it."""

    def __post_init__(self) -> None:
        MoEConfig.__post_init__(self)
        Training.__post_init__(self)
