"""What a causal mixer keeps of earlier tokens, to go on from where it stopped.

Gating and token MLPs have no state of constant size: their weights differ from position to
position, so that every later position takes another sum over all the earlier ones.
"""

import torch
from torch import Tensor

Past = tuple[Tensor, ...]
"""Tensors `(batch, positions, width)`, zero after the last token read."""


def extend(past: Tensor | None, new: Tensor, start: int, positions: int) -> Tensor:
    """Write new tokens into what is kept, which stays as it was.

    Args:
        past: what is kept of the tokens before, `(batch, positions, width)`; None for nothing.
        new: of the tokens from `start` on, `(batch, new, width)`.
        start: position of the first new token.
        positions: the longest sequence.

    Returns:
        `(batch, positions, width)`.
    """
    if past is None:
        past = new.new_zeros(new.shape[0], positions, new.shape[2])
    end = start + new.shape[1]
    return torch.cat([past[:, :start], new, past[:, end:]], 1)
