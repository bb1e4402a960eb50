"""What is exact on paper: parameters and operations of students of the encoder."""

from bisect import bisect_left
from collections.abc import Callable

from attnreplace.students import hidden_width
from attnreplace.students.sizes import STEPS
from benchmarks.scaling.shapes import HEADS

FARTHEST = 10_000
"""No crossing is looked for beyond sentences of so many tokens."""


def qkv_parameters(d_model: int) -> int:
    """Of the attention's queries, keys and values."""
    return 3 * d_model * (d_model + 1)


def shallow_parameters(size: str, positions: int, d_model: int) -> int:
    """2 n h + 3 n + 3 h, with n = N d and h = n / 128, n / 8, n / 2, 2 n from S to XL."""
    n = positions * d_model
    h = hidden_width(size, n)
    return 2 * n * h + 3 * n + 3 * h


def forward_flops(size: str | None, positions: int, d_model: int) -> int:
    """Of one sentence of N tokens: 4 n h, or with None the attention's 6 N d^2 + 4 N^2 d."""
    n = positions * d_model
    if size is None:
        return 6 * n * d_model + 4 * n * positions
    return 4 * n * hidden_width(size, n)


def summaries_flops(size: str, positions: int, d_model: int) -> int:
    """Of one sentence: 2 N d (d + 2 k) + 4 N d k / heads, with k = d at M and 2 d at L.

    The first term is values and both gates, the second what tokens add to their summaries and what
    queries take of them.
    """
    n, gates = positions * d_model, int(STEPS[size] * d_model)
    return 2 * n * (d_model + 2 * gates) + 4 * n * gates // HEADS


def crossing(excess: Callable[[int], float]) -> int | None:
    """The smallest N with a positive `excess`, which then stays so; None for none in sight."""
    lengths = range(1, FARTHEST + 1)
    index = bisect_left(lengths, True, key=lambda positions: excess(positions) > 0)
    return lengths[index] if index < len(lengths) else None
