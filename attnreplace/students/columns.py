"""The first layer's weights over some of its input columns, and sums over them that are kept."""

from typing import NamedTuple

import torch
from torch import Tensor

from attnreplace.students.normed_linear import NormedLinear, apply_normed, tail
from attnreplace.students.row_gradients import taker


class Columns(NamedTuple):
    """LayerNorm's affine part and Linear's weight, over the columns of one input."""

    weight: Tensor
    """`(groups, h, columns)`."""
    gamma: Tensor
    """`(groups, columns)`."""
    beta: Tensor
    """`(groups, columns)`."""

    @property
    def frozen(self) -> bool:
        """Whether sums over these weights can be kept from call to call.

        Only frozen parameters count up their version whenever they change, which fused optimisers
        omit; inference tensors have none.
        """
        return not (any(tensor.requires_grad for tensor in self) or self.weight.is_inference())


class Tails:
    """Sums over the columns from each position on, kept for as long as the weights stay."""

    def __init__(self) -> None:
        self._kept: tuple[object, Tensor] | None = None

    def forget(self) -> None:
        """Keep nothing: the weights are being trained, which need not show in their version."""
        self._kept = None

    def of(self, columns: Columns, d_model: int) -> Tensor:
        """`tail` of the positions from each on, `(positions + 1, groups, 2, h)`.

        Without it a single short sentence, or a step of decoding, would read all of the weights
        for a few sums.

        Args:
            columns: frozen weights.
            d_model: how many columns a position has.
        """
        key = tuple((tensor.data_ptr(), tensor._version) for tensor in columns)
        if self._kept is None or self._kept[0] != key:
            weight, gamma, beta = (at_least_float32(tensor) for tensor in columns)
            positions = weight.shape[2] // d_model
            sums = weight.new_zeros(positions + 1, weight.shape[0], 2, weight.shape[1])
            for position in reversed(range(positions)):
                at = slice(position * d_model, (position + 1) * d_model)
                here = tail(weight[:, :, at], gamma[:, at], beta[:, at])
                torch.add(sums[position + 1], here, out=sums[position])
            self._kept = (key, sums)
        return self._kept[1]


def normed_product(
    z: Tensor,
    shift: Tensor,
    columns: Columns,
    bias: Tensor,
    tails: Tails,
    d_model: int,
    dtype: torch.dtype,
) -> Tensor:
    """Norm and linear over normalised columns of which only the first k differ from `shift`.

    Args:
        z: the first k columns, `(batch, k)`, float32 or wider.
        shift: what every later column holds, `(batch, 1)`.
        columns: the weights.
        bias: `(groups, h)`.
        tails: where sums of `columns` are kept.
        d_model: how many columns a position has.
        dtype: of the product.

    Returns:
        `(groups, batch, h)`, float32 or wider.
    """
    if columns.frozen:
        rest = tails.of(columns, d_model)[z.shape[1] // d_model]
        return apply_normed(z, shift, *columns, bias, rest, dtype)
    tails.forget()
    weight, *others = (at_least_float32(tensor) for tensor in (*columns, bias))
    return NormedLinear.apply(z, shift, weight, *others, dtype, taker(weight))


def at_least_float32(x: Tensor) -> Tensor:
    """`x` in float32, or in its own dtype where that is wider."""
    return x.to(torch.promote_types(x.dtype, torch.float32))
