"""The decoder student as the paper's code runs it: one full forward pass for every position."""

import torch
from torch import Tensor

from benchmarks.plain.encoder import PlainNetwork


class PlainDecoderStudent(PlainNetwork):
    """One network over the flattened sentence, masked to the positions up to the one wanted.

    arXiv 2311.10642 and its code: for position i the input, padded with zeros to N positions, is
    masked to the positions up to i, and the network gives the d values of that position. Positions
    that no sentence of the batch has are left out.
    """

    def at(self, padded: Tensor, position: int) -> Tensor:
        """The output at a position, `(batch, d_out)`, of `(batch, N, d_model)` zero at padding."""
        column = torch.arange(self.positions, device=padded.device)
        return self.network((padded * (column <= position).view(1, -1, 1)).flatten(1))

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Map `(batch, seq, d_model)` and its mask `(batch, seq)` to `(batch, seq, d_out)`."""
        batch, seq, d_model = x.shape
        padded = x.new_zeros(batch, self.positions, d_model)
        padded[:, :seq] = x.masked_fill(~mask.unsqueeze(-1), 0)
        outputs = [self.at(padded, position) for position in range(seq)]
        return torch.stack(outputs, 1) * mask.unsqueeze(-1)
