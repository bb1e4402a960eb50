"""Stochastic depth: a residual branch is left out for some samples of a batch.

Huang et al., arXiv 1603.09382.
"""

from torch import Tensor, nn


class DropPath(nn.Module):
    """In training, zero a branch with probability `rate`, for each sample on its own.

    What is kept is scaled by 1 / (1 - rate).
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        """Apply to a branch, `(batch, seq, d)`."""
        if not self.training or self.rate == 0:
            return x
        kept = x.new_empty(x.shape[0], 1, 1).bernoulli_(1 - self.rate)
        return x * (kept / (1 - self.rate))

    def extra_repr(self) -> str:
        """The rate, in the printed module."""
        return f"rate={self.rate:g}"


def drop_path_rates(last: float, depth: int) -> list[float]:
    """The rate of each block: rising linearly from 0 at the first to `last` at the last."""
    return [last * layer / max(depth - 1, 1) for layer in range(depth)]
