"""The paper's students: shallow feed-forward networks over whole, flattened sentences.

Bozic et al., arXiv 2311.10642: the input padded with zeros and flattened to n values, then
LayerNorm(n) -> Linear(n, h) -> LeakyReLU(0.01) -> LayerNorm(h) -> Linear(h, n_out), times the
padding mask. A deeper student has further Linear(h, h) -> LeakyReLU -> LayerNorm(h) before the last
layer.

Here is what all forms share: the parameters, and all that comes after the first linear layer. Each
form has a file of its own with the cheapest exact way through its first layer.
"""

import math
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from attnreplace.students.base import CROSS_FORMS, Student, StudentConfig
from attnreplace.students.columns import Columns, Tails, at_least_float32
from attnreplace.students.row_gradients import taker
from attnreplace.students.row_linear import RowLinear
from attnreplace.students.sizes import input_width

EPS = 1e-5
SLOPE = 0.01


class ShallowFF(Student):
    """One such network, or one per group over the same input, outputs concatenated.

    All parameters carry the group as their first dimension. Sums and moments are float32 or wider,
    whatever the parameters' or autocast's dtype.
    """

    def __init__(self, config: StudentConfig) -> None:
        super().__init__(config)
        groups, hidden = config.groups, config.hidden
        width_in, width_memory, width_out = _widths(config)
        if width_memory:
            self.norm_memory_weight = nn.Parameter(torch.ones(groups, width_memory))
            self.norm_memory_bias = nn.Parameter(torch.zeros(groups, width_memory))
            self.weight_memory = nn.Parameter(torch.empty(groups, hidden, width_memory))
        self.norm_in_weight = nn.Parameter(torch.ones(groups, width_in))
        self.norm_in_bias = nn.Parameter(torch.zeros(groups, width_in))
        self.weight_in = nn.Parameter(torch.empty(groups, hidden, width_in))
        self.bias_in = nn.Parameter(torch.empty(groups, hidden))
        self.norm_hidden_weight = nn.Parameter(torch.ones(groups, hidden))
        self.norm_hidden_bias = nn.Parameter(torch.zeros(groups, hidden))
        self.weight_deep, self.bias_deep = nn.ParameterList(), nn.ParameterList()
        self.norm_deep_weight, self.norm_deep_bias = nn.ParameterList(), nn.ParameterList()
        for _ in range(config.hidden_layers - 1):
            self.weight_deep.append(nn.Parameter(torch.empty(groups, hidden, hidden)))
            self.bias_deep.append(nn.Parameter(torch.empty(groups, hidden)))
            self.norm_deep_weight.append(nn.Parameter(torch.ones(groups, hidden)))
            self.norm_deep_bias.append(nn.Parameter(torch.zeros(groups, hidden)))
        self.weight_out = nn.Parameter(torch.empty(groups, width_out, hidden))
        self.bias_out = nn.Parameter(torch.empty(groups, width_out))
        self.tails_in, self.tails_memory = Tails(), Tails()
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the linear layers as `nn.Linear` does, each from its own fan-in."""
        width_in, width_memory, _ = _widths(self.config)
        first = 1 / math.sqrt(width_in + width_memory)
        other = 1 / math.sqrt(self.config.hidden)
        if width_memory:
            nn.init.uniform_(self.weight_memory, -first, first)
        nn.init.uniform_(self.weight_in, -first, first)
        nn.init.uniform_(self.bias_in, -first, first)
        for weight, bias in (
            *zip(self.weight_deep, self.bias_deep, strict=True),
            (self.weight_out, self.bias_out),
        ):
            nn.init.uniform_(weight, -other, other)
            nn.init.uniform_(bias, -other, other)

    @staticmethod
    def num_parameters(config: StudentConfig) -> int:
        """A norm and a linear layer, once more for every hidden layer, and the last layer."""
        width_in, width_memory, width_out = _widths(config)
        read, hidden = width_in + width_memory, config.hidden
        first = 2 * read + (read + 1) * hidden
        deep = 2 * hidden + (hidden + 1) * hidden
        last = 2 * hidden + (hidden + 1) * width_out
        return config.groups * (first + (config.hidden_layers - 1) * deep + last)

    @property
    def columns_in(self) -> Columns:
        """The first layer over the columns of the input, or of the query."""
        return Columns(self.weight_in, self.norm_in_weight, self.norm_in_bias)

    @property
    def columns_memory(self) -> Columns:
        """The first layer over the columns of the memory, in the forms that read one."""
        return Columns(self.weight_memory, self.norm_memory_weight, self.norm_memory_bias)

    def finish(self, pre: Tensor, dtype: torch.dtype, rows: int) -> Tensor:
        """All that comes after the first linear layer.

        Args:
            pre: what the first linear layer gave, `(groups, batch, h)`; it is written over.
            dtype: of the matrix products.
            rows: how many of the last layer's outputs are wanted.

        Returns:
            `(groups, batch, rows)` in `dtype`.
        """
        gamma, beta = self.norm_hidden_weight, self.norm_hidden_bias
        for layer in range(self.config.hidden_layers - 1):
            weight, bias = self.weight_deep[layer], self.bias_deep[layer]
            width = self.config.hidden
            pre = _affine_linear(_activate(pre), gamma, beta, weight, bias, width, dtype)
            gamma, beta = self.norm_deep_weight[layer], self.norm_deep_bias[layer]
        weight, bias = self.weight_out, self.bias_out
        return _affine_linear(_activate(pre), gamma, beta, weight, bias, rows, dtype)

    def product_dtype(self, x: Tensor) -> torch.dtype:
        """The dtype of the matrix products: autocast's where it is on (but float64 stays)."""
        device, own = x.device.type, self.weight_in.dtype
        if autocasts(device) and own != torch.float64:
            return torch.get_autocast_dtype(device)
        return own


def autocasts(device: str) -> bool:
    """Whether autocast is on; the meta device, on which shapes are counted, has none."""
    return torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device)


def without_autocast(x: Tensor) -> AbstractContextManager[object]:
    """Where every product has the dtype of its operands: students cast what they want cast."""
    device = x.device.type
    if autocasts(device):
        return torch.autocast(device, enabled=False)
    return nullcontext()


def _activate(pre: Tensor) -> Tensor:
    """LeakyReLU, then LayerNorm without its affine part; `pre` is written over."""
    hidden = F.leaky_relu(at_least_float32(pre), SLOPE, inplace=True)
    return F.layer_norm(hidden, hidden.shape[-1:], eps=EPS)


def _affine_linear(
    x: Tensor,
    gamma: Tensor,
    beta: Tensor,
    weight: Tensor,
    bias: Tensor,
    rows: int,
    dtype: torch.dtype,
) -> Tensor:
    """The first rows of W (gamma * x + beta) + b, `(groups, batch, rows)` in `dtype`.

    Gamma and beta go to the side with fewer rows: to `x`, or into the weights. Where the
    weight has a gradient they go to `x`, if that is the smaller matrix.

    Args:
        x: `(groups, batch, h)`.
        gamma: `(groups, h)`.
        beta: `(groups, h)`.
        weight: `(groups, out, h)`.
        bias: `(groups, out)`.
        rows: how many.
        dtype: of the product.
    """
    in_rows = weight.requires_grad and x.shape[1] <= weight.shape[1]
    if in_rows or x.shape[1] <= rows:
        x = torch.addcmul(beta[:, None], x, gamma[:, None])
    if in_rows:
        return RowLinear.apply(x, weight, bias, rows, dtype, taker(weight))
    weight, bias = weight[:, :rows], bias[:, :rows]
    if x.shape[1] > rows:
        bias = torch.baddbmm(bias[:, :, None], weight, beta[:, :, None])[:, :, 0]
        weight = weight * gamma[:, None]
    return torch.baddbmm(bias[:, None].to(dtype), x.to(dtype), weight.to(dtype).transpose(1, 2))


def _widths(config: StudentConfig) -> tuple[int, int, int]:
    """Columns of the input, columns of the memory, and outputs, per group."""
    read = input_width(config.form, config.positions, config.d_model)
    memory = config.positions * config.d_model if config.form in CROSS_FORMS else 0
    outputs = 1 if config.form in ("prefix", "per-query") else config.positions
    return read - memory, memory, outputs * config.d_out // config.groups
