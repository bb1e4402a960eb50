"""Hard-coded Gaussian weights: a yardstick without any weights to learn but those of the values.

You et al., arXiv 2005.00742: a head at position i weighs token j by a Gaussian of deviation 1
around i - 1, i or i + 1; around i - 1 or i in the decoder; at cross-attention around these times
the ratio of the lengths of source and target. Here every centre mixes the same `hidden` channels of
values, a projection reads all of these mixes, the weights are normalised over the real tokens, and
the ratio is learned, from one on, as the one number of the weights that is.
"""

from typing import ClassVar

import torch
from torch import Tensor, nn

from attnreplace.students.base import Kind, StudentConfig
from attnreplace.students.columns import at_least_float32
from attnreplace.students.mixer import EveryMixer
from attnreplace.students.weighing import WeighingBlock, block_parameters, softmax_over

OFFSETS = {"sentence": (-1, 0, 1), "prefix": (-1, 0), "per-query": (-1, 0, 1)}
"""Centres less the position that asks, by form."""


class GaussianBlock(WeighingBlock):
    """A query's place alone decides what it reads, at cross-attention as well."""

    def __init__(self, config: StudentConfig, d_out: int) -> None:
        offsets = OFFSETS[config.form]
        super().__init__(
            config, d_out, width=config.hidden, heads=len(offsets), shared=True, project=True
        )
        self.offsets = offsets
        self.ratio = nn.Parameter(torch.ones(())) if config.form == "per-query" else None

    def weigh(self, query: Tensor, keys: Tensor, allowed: Tensor, start: int) -> Tensor:
        """See the base class."""
        device, dtype = query.device, at_least_float32(query[:0]).dtype
        place = torch.arange(start, start + query.shape[1], device=device, dtype=dtype)
        if self.ratio is not None:
            place = place * self.ratio
        offset = torch.tensor(self.offsets, device=device, dtype=dtype)
        column = torch.arange(allowed.shape[-1], device=device, dtype=dtype)
        distance = column - (place[:, None] + offset[:, None, None])  # (offsets, new, seq)
        return softmax_over(-0.5 * distance.square(), allowed)


class Gaussian(EveryMixer):
    """Forms "sentence", "prefix" and "per-query"."""

    kind: ClassVar[Kind] = "static"

    @classmethod
    def block(cls, config: StudentConfig, d_out: int) -> GaussianBlock:
        """See the base class."""
        return GaussianBlock(config, d_out)

    @classmethod
    def block_parameters(cls, config: StudentConfig, d_out: int) -> int:
        """Norms, values and projection, and the ratio of cross-attention."""
        mixed = len(OFFSETS[config.form]) * config.hidden
        ratio = config.form == "per-query"
        return block_parameters(config, config.hidden, mixed, d_out) + ratio
