"""Between padded `(batch, seq, d)` and ragged `(tokens, d)`: the real tokens, by sentence."""

from dataclasses import dataclass

import torch
from torch import Tensor


def length_mask(lengths: Tensor) -> Tensor:
    """True at real tokens: lengths `(batch,)` to `(batch, seq)`, seq the longest."""
    return torch.arange(int(lengths.max()), device=lengths.device) < lengths[:, None]


def real_rows(mask: Tensor) -> Tensor | None:
    """Rows of the flattened `(batch * seq)` that are real; None where all of them are."""
    return None if bool(mask.all()) else mask.flatten().nonzero().squeeze(1)


def pack(values: Tensor, rows: Tensor | None) -> Tensor:
    """Real tokens of `(batch, seq, d)` as `(tokens, d)`, given `real_rows` of the mask."""
    flat = values.flatten(0, 1)
    return flat if rows is None else flat.index_select(0, rows)


def pad_ragged(values: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
    """The inverse of `pack`.

    Args:
        values: `(tokens, d)`, sentence after sentence.
        lengths: tokens of each sentence, int64 `(batch,)`.

    Returns:
        Values `(batch, seq, d)`, zero at padding, and mask `(batch, seq)`, True at real tokens.
    """
    mask = length_mask(lengths)
    (batch, seq), (tokens, d) = mask.shape, values.shape
    if tokens == batch * seq:
        return values.view(batch, seq, d), mask
    # Not `real_rows`: a GPU would have to be waited for to count the rows, known here already.
    shifts = torch.arange(batch, device=lengths.device) * seq - (lengths.cumsum(0) - lengths)
    rows = torch.arange(tokens, device=lengths.device)
    rows += shifts.repeat_interleave(lengths, output_size=tokens)
    padded = values.new_zeros(batch * seq, d).index_copy_(0, rows, values)
    return padded.view(batch, seq, d), mask


@dataclass(frozen=True)
class ActivationBatch:
    """Activations of some sentences, ragged."""

    lengths: Tensor
    """Tokens of each sentence, int64 `(batch,)`."""
    tensors: dict[str, Tensor]
    """`(tokens, d)` by name, float32, sentence after sentence."""

    def padded(self, name: str) -> tuple[Tensor, Tensor]:
        """One tensor as `(batch, seq, d)`, zero at padding, and its mask `(batch, seq)` bool."""
        return pad_ragged(self.tensors[name], self.lengths)
