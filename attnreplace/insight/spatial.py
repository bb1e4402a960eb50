r"""Weights over the tokens, and how near they are to a Toeplitz matrix.

Liu et al., arXiv 2105.08050, find that the dense W of gMLP becomes Toeplitz-like in training: a
shift-invariant filter. The projection of W on the Toeplitz matrices, nearest in the Frobenius norm,
has on each diagonal the mean of W's; its share of the energy |W|^2 says how far that went.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from attnreplace.models.mixers import DenseSpatial, ToeplitzSpatial, TokenMLP
from attnreplace.students.query_gate import QueryGateBlock


@dataclass(frozen=True)
class SpatialWeights:
    """The weights over the tokens of one mixer."""

    name: str
    """Dotted path of the mixer in the module."""
    kind: str
    """Of `KINDS`."""
    matrix: Tensor
    """`(rows, positions)`, detached, zero where a causal mixer never reads."""
    causal: bool

    @property
    def square(self) -> bool:
        """Whether a row belongs to a position; not so in a gate between two sequences."""
        return self.kind != "memory"


def spatial_weights(module: nn.Module) -> list[SpatialWeights]:
    """The weights of every mixer in a model or a student, in the module's order.

    "toeplitz" and "dense": W of a spatial gate, what row i takes from column j. "token_mlp": the
    product of the two layers of a token MLP, the gain of its norm included: what it would be
    without the GELU between them. "memory": the rows over the memory that a query of
    cross-attention mixes.
    """
    found = []
    for name, part in module.named_modules():
        for kind, (type_, read) in KINDS.items():
            if isinstance(part, type_):
                causal = bool(getattr(part, "causal", False))
                found.append(SpatialWeights(name, kind, read(part).detach(), causal))
    return found


def toeplitz_profile(matrix: Tensor) -> Tensor:
    """The mean of every diagonal of `(n, n)`, `(2 n - 1,)`: distances j - i from 1 - n to n - 1."""
    sums, counts = _diagonals(matrix)
    return sums / counts


def toeplitz_share(matrix: Tensor, *, causal: bool = False) -> float:
    """The share of the energy of `(n, n)` that is in its projection on the Toeplitz matrices.

    One for a Toeplitz matrix, for a random one `random_toeplitz_share`; NaN for zero.

    Args:
        matrix: W.
        causal: leave the entries above the diagonal out.
    """
    matrix = matrix.tril() if causal else matrix
    sums, counts = _diagonals(matrix)
    return float((sums.square() / counts).sum() / matrix.double().square().sum())


def random_toeplitz_share(n: int, *, causal: bool = False) -> float:
    """The share expected of independent entries of mean zero: diagonals by entries.

    The mean of k entries of variance v has variance v / k, k times: a diagonal keeps v of k v.
    """
    return 2 / (n + 1) if causal else (2 * n - 1) / n**2


def _diagonals(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """Sums over the diagonals of `(n, n)` in float64, and how many entries each has."""
    n = len(matrix)
    place = torch.arange(n, device=matrix.device)
    place = (place - place[:, None] + n - 1).flatten()
    sums = torch.zeros(2 * n - 1, dtype=torch.float64, device=matrix.device)
    sums = sums.index_add(0, place, matrix.detach().double().flatten())
    return sums, place.bincount(minlength=2 * n - 1)


def _gate(part: Any) -> Tensor:
    matrix: Tensor = part.matrix(part.positions)
    return matrix.tril() if part.causal else matrix


def _token_mlp(part: Any) -> Tensor:
    first, second = part.fc1.weight, part.fc2.weight
    if part.causal:
        token = torch.arange(part.positions, device=first.device)
        owner = token.repeat_interleave(len(first) // part.positions)
        first = first.masked_fill(owner[:, None] < token, 0)
        second = second.masked_fill(owner > token[:, None], 0)
    return second @ first if part.norm is None else second @ (first * part.norm.weight)


def _memory(part: Any) -> Tensor:
    return part.rows.weight


KINDS: dict[str, tuple[type[nn.Module], Callable[[Any], Tensor]]] = {
    "toeplitz": (ToeplitzSpatial, _gate),
    "dense": (DenseSpatial, _gate),
    "token_mlp": (TokenMLP, _token_mlp),
    "memory": (QueryGateBlock, _memory),
}
"""The class of every kind of weights, and how its matrix comes about."""
