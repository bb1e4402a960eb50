r"""Sums over the tokens up to each, of which every one mixes its own, without a sum for each.

    y_i = a_i^T S_i,    S_i = before + sum_{j <= i} b_j v_j^T

for rows a, b of width `hidden` and v of `channels`. The state S is all that decoding keeps. To
train, `hidden * channels` numbers for every position are too many to write out and read again, so
the same terms are added up in another order, chunk by chunk of positions:

    y_i = a_i^T S_c + sum_{c < j <= i} (a_i^T b_j) v_j,

c being the last position of the chunk before. The products a_i^T b_j, what v_j counts in y_i all
told, are a step of this arithmetic and of no definition; they never leave a chunk.
"""

import torch
from torch import Tensor

CHUNK = 32
"""Positions in a chunk: with fewer, more states are carried, with more, more products are made."""


def mix_running(asking: Tensor, telling: Tensor, values: Tensor, before: Tensor | None) -> Tensor:
    """y, `(batch, heads, new, channels)`.

    Args:
        asking: a, `(batch, heads, new, hidden)`, float32 or wider as all of these.
        telling: b, of the same shape.
        values: v, `(batch, heads, new, channels)`.
        before: the sum over earlier tokens, `(batch, heads, hidden, channels)`; None at the start.
    """
    parts, sums, last = list[Tensor](), before, None
    for a, b, v in zip(*(rows.split(CHUNK, 2) for rows in (asking, telling, values)), strict=True):
        if last is not None:
            sums = sum_up(*last, sums)
        mixed = torch.matmul(torch.matmul(a, b.transpose(2, 3)).tril(), v)
        parts.append(mixed if sums is None else mixed + torch.matmul(a, sums))
        last = b, v
    return torch.cat(parts, 2)


def sum_up(telling: Tensor, values: Tensor, before: Tensor | None = None) -> Tensor:
    """S after all of the tokens, `(batch, heads, hidden, channels)`."""
    new = torch.matmul(telling.transpose(2, 3), values)
    return new if before is None else before + new


def running_totals(telling: Tensor, before: Tensor | None) -> Tensor:
    """The sum of b up to each token, `(batch, heads, new, hidden)`, from `before` without `new`."""
    totals = telling.cumsum(2)
    return totals if before is None else totals + before.unsqueeze(2)
