"""What a student minimises, and how far it is from its target."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from attnreplace.errors import UserError


def squared_error(output: Tensor, target: Tensor) -> Tensor:
    """Sum of squared differences of real tokens `(tokens, d)`, in float32 or wider."""
    return F.mse_loss(*_wide(output, target), reduction="sum")


def _mse(output: Tensor, target: Tensor, variance: float) -> Tensor:
    return squared_error(output, target)


def _normalised_mse(output: Tensor, target: Tensor, variance: float) -> Tensor:
    return squared_error(output, target) / variance


def _cosine(output: Tensor, target: Tensor, variance: float) -> Tensor:
    return (1 - F.cosine_similarity(*_wide(output, target), dim=-1)).sum()


def _l1(output: Tensor, target: Tensor, variance: float) -> Tensor:
    return F.l1_loss(*_wide(output, target), reduction="sum")


def _huber(output: Tensor, target: Tensor, variance: float) -> Tensor:
    # With e in standard deviations s of the target, huber_1(e) = huber_s(s e) / s^2.
    output, target = _wide(output, target)
    return F.huber_loss(output, target, reduction="sum", delta=variance**0.5) / variance


@dataclass(frozen=True)
class Objective:
    """A loss, as a sum so that batches of any size can be put together."""

    total: Callable[[Tensor, Tensor, float], Tensor]
    """Sum over real tokens, from output and target `(tokens, d)` and the target's variance."""
    by_token: bool = False
    """Whether there is one term a token; else one a value."""

    def terms(self, tokens: int, width: int) -> int:
        """How many terms the sum has."""
        return tokens if self.by_token else tokens * width


OBJECTIVES = {
    "mse": Objective(_mse),
    "normalised_mse": Objective(_normalised_mse),
    "cosine": Objective(_cosine, by_token=True),
    "l1": Objective(_l1),
    "huber": Objective(_huber),
}
"""By name. Squared difference; the same over the target's variance; one less the cosine of the
angle; absolute difference; Huber's, which is squared up to a standard deviation of the target and
a line from there."""
AUTO = {"modern": "normalised_mse", "paper": "mse"}
"""What "auto" stands for in each recipe."""


def check_objective(name: str) -> None:
    """Refuse an unknown objective.

    Raises:
        UserError: lists those that there are.
    """
    if name != "auto" and name not in OBJECTIVES:
        raise UserError(f"unknown objective {name!r}; valid: auto, {', '.join(OBJECTIVES)}")


def get_objective(name: str, recipe: str) -> Objective:
    """The objective of a name; "auto" is the recipe's own."""
    return OBJECTIVES[AUTO[recipe] if name == "auto" else name]


def _wide(output: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    wide = torch.promote_types(target.dtype, torch.float32)
    return output.to(wide), target.to(wide)


@dataclass
class TargetSpread:
    """Running moments of a target, feature by feature, in float64.

    `total` is the squared error of the best constant prediction, the mean of each feature: what a
    student that has learnt nothing but that would score.
    """

    count: int = 0
    mean: Tensor | float = 0.0
    squares: Tensor | float = 0.0

    def add(self, rows: Tensor) -> None:
        """Take in some real tokens, `(tokens, d)` (Chan et al. 1983: no digits lost)."""
        rows = rows.double()
        count, mean = len(rows), rows.mean(0)
        delta = mean - self.mean
        together = self.count + count
        self.squares = (
            self.squares
            + (rows - mean).square().sum(0)
            + delta.square() * (self.count * count / together)
        )
        self.mean = self.mean + delta * (count / together)
        self.count = together

    @property
    def total(self) -> float:
        """Squared error of predicting the mean, summed over tokens and features."""
        return float(torch.as_tensor(self.squares).sum())
