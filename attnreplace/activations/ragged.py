"""Between padded `(batch, seq, d)` and ragged `(tokens, d)`: the real tokens, by sentence."""

from dataclasses import dataclass

import torch
from torch import Tensor

from attnreplace.hosts import axis_of


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


class Padding:
    """Where the tokens of some sentences go when they are padded to the longest."""

    def __init__(self, lengths: Tensor, device: torch.device | None = None) -> None:
        """Work it out.

        Args:
            lengths: tokens of each sentence, int64 `(batch,)`, on the CPU: of a GPU one would
                have to wait for the longest.
            device: where tensors will be padded.
        """
        mask = length_mask(lengths)
        rows = real_rows(mask)
        self._rows = None if rows is None else rows.to(device)
        self.mask = mask.to(device)
        """Which tokens are real, `(batch, seq)` bool."""

    def pad(self, values: Tensor) -> Tensor:
        """The inverse of `pack`: `(tokens, d)` as `(batch, seq, d)`, zero at padding."""
        (batch, seq), d = self.mask.shape, values.shape[1]
        if self._rows is None:
            return values.view(batch, seq, d)
        padded = values.new_zeros(batch * seq, d).index_copy_(0, self._rows, values)
        return padded.view(batch, seq, d)


@dataclass(frozen=True)
class ActivationBatch:
    """Activations of some pairs, ragged."""

    lengths: dict[str, Tensor]
    """Tokens of each pair by axis ("source", "target"), int64 `(batch,)`."""
    tensors: dict[str, Tensor]
    """`(tokens, d)` by name, float32, pair after pair; the tokens of the tensor's own axis."""

    def padded(self, name: str) -> tuple[Tensor, Tensor]:
        """One tensor as `(batch, seq, d)`, zero at padding, and its mask `(batch, seq)` bool."""
        padding = Padding(self.lengths[axis_of(name)])
        return padding.pad(self.tensors[name]), padding.mask
