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
    window: int = 256

    def __post_init__(self) -> None:
        if self.hidden < 1 or self.heads < 1 or self.hidden % self.heads or self.hidden % 2:
            raise ValueError("hidden must be even and a multiple of heads")
        if self.experts < 1 or self.intermediate < 1 or self.window < 2:
            raise ValueError("experts and intermediate must be at least 1, window at least 2")
        if not 0 < self.top_p <= 1:
            raise ValueError("top_p must lie above 0 and be at most 1")


@dataclass(frozen=True)
class Training:
    """How the model learns: `epochs` with all experts alike, then as many with the gate."""

    epochs: int = 2
    batch: int = 64
    learning_rate: float = 1e-4
    weight_decay: float = 0.01
    balance: float = 0.01  # weight of the load-balancing loss, as in arXiv:2403.07652
    entropy: float = 1e-4  # weight of the router's entropy, as there
    seed: int = 0

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.batch < 1 or self.learning_rate <= 0:
            raise ValueError("epochs and batch must be at least 1, learning_rate above 0")


@dataclass(frozen=True)
class MoEOptions(Training, MoEConfig):
    """All of it, flat, as a person or a form gives it."""

    def __post_init__(self) -> None:
        MoEConfig.__post_init__(self)
        Training.__post_init__(self)
