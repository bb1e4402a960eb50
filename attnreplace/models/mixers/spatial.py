"""A linear map over the tokens, the same for every channel.

The f of gMLP (Liu et al., arXiv 2105.08050, section 2.1, eq. 2): f(Z) = W Z + b with W of
`(tokens, tokens)` and one bias a token.
"""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from attnreplace.errors import SequenceTooLong, UserError

INITIAL_STD = 1e-6
"""W starts near zero and b at one, so that a gate starts near one (section 2.1)."""


def check_length(length: int, positions: int) -> None:
    """Refuse a sequence that a mixer has no weights for.

    Raises:
        SequenceTooLong: there are more tokens than positions.
    """
    if length > positions:
        raise SequenceTooLong(
            f"a sequence of {length} tokens is too long for a token mixer of {positions} "
            "positions; shorten it, or build a model with more positions"
        )


class SpatialLinear(nn.Module, ABC):
    """`W x + b` along the tokens; how W comes about is the subclass's."""

    weight: nn.Parameter

    def __init__(self, positions: int, *, causal: bool = False) -> None:
        super().__init__()
        if positions < 1:
            raise UserError(f"a token mixer needs at least 1 position, not {positions}")
        self.positions = positions
        self.causal = causal
        self.bias = nn.Parameter(torch.empty(positions))

    def reset_parameters(self) -> None:
        """W near zero, b one."""
        nn.init.normal_(self.weight, std=INITIAL_STD)
        nn.init.ones_(self.bias)

    @abstractmethod
    def matrix(self, length: int) -> Tensor:
        """W of the first `length` positions, `(length, length)`: what row i takes from column j."""

    def forward(self, x: Tensor, mask: Tensor | None = None, start: int = 0) -> Tensor:
        """Mix the tokens of every channel.

        Args:
            x: `(batch, seq, d)`.
            mask: which tokens are real, `(batch, seq)` bool; None for all.
            start: first position whose output is wanted.

        Returns:
            `(batch, seq - start, d)`.

        Raises:
            SequenceTooLong: there are more tokens than positions.
        """
        length = x.shape[1]
        check_length(length, self.positions)
        if mask is not None:
            x = x.masked_fill(~mask.unsqueeze(-1), 0)
        weight = self.matrix(length)
        if self.causal:
            # Not the parameters but the matrix: a Toeplitz entry above the diagonal of one length
            # has no place of its own in the vector of another.
            weight = weight.tril()
        mixed = torch.matmul(weight[start:], x)
        return mixed + self.bias[start:length, None].to(mixed.dtype)  # autocast's, if it is on


class DenseSpatial(SpatialLinear):
    """A free W, `(positions, positions)`: the images of gMLP (and the token layer of ResMLP).

    A shorter sequence uses W[:n, :n], which is right only because rows start at position 0.
    """

    def __init__(self, positions: int, *, causal: bool = False) -> None:
        super().__init__(positions, causal=causal)
        self.weight = nn.Parameter(torch.empty(positions, positions))
        self.reset_parameters()

    def matrix(self, length: int) -> Tensor:
        """W of the first `length` positions, `(length, length)`."""
        return self.weight[:length, :length]
