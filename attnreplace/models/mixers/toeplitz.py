"""A linear map over the tokens that depends on their distance only.

gMLP for masked language modelling, Liu et al., arXiv 2105.08050, section 4 and its appendix: W is a
Toeplitz matrix, 2n - 1 values, with n biases. (The appendix's code cuts the tiled vector at the
wrong end; its last slice has to drop the last n values.)
"""

import torch
from torch import Tensor, nn

from attnreplace.models.mixers.spatial import SpatialLinear


class ToeplitzSpatial(SpatialLinear):
    """W[i, j] = t[n - 1 + j - i] with t the weight, `(2 * positions - 1,)`."""

    def __init__(self, positions: int, *, causal: bool = False) -> None:
        super().__init__(positions, causal=causal)
        self.weight = nn.Parameter(torch.empty(2 * positions - 1))
        self.reset_parameters()

    def matrix(self, length: int) -> Tensor:
        """W of the first `length` positions, `(length, length)`: t cropped around its centre."""
        centre = self.positions - 1
        near = self.weight[centre - length + 1 : centre + length]
        # Row k of the windows starts at near[k]; row i of W starts at distance -i, near[n - 1 - i].
        return near.unfold(0, length, 1).flip(0)
