"""What a student minimises, and how far it is from its target."""

from dataclasses import dataclass

import torch
from torch import Tensor


def squared_error(output: Tensor, target: Tensor) -> Tensor:
    """Sum of squared differences, in float32 or wider.

    Padding takes no part where both are zero there.

    Args:
        output: `(batch, seq, d)`.
        target: `(batch, seq, d)`.
    """
    wide = torch.promote_types(target.dtype, torch.float32)
    return (output.to(wide) - target.to(wide)).square().sum()


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
