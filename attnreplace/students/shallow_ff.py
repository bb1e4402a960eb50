"""The paper's student: one hidden layer over the whole flattened sentence.

Bozic et al., arXiv 2311.10642: the sentence padded with zeros to N positions and flattened, then
LayerNorm(N*d) -> Linear(N*d, h) -> LeakyReLU(0.01) -> LayerNorm(h) -> Linear(h, N*d_out), times the
padding mask. Here only the positions of the batch's longest sentence take part in the two large
products; the result is the same (see `normed_linear`).
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from attnreplace.students.base import Student, StudentConfig
from attnreplace.students.normed_linear import NormedLinear, apply_normed, normalise, tail

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
        width_in = config.positions * config.d_model
        width_out = config.positions * config.d_out // groups
        self.norm_in_weight = nn.Parameter(torch.ones(groups, width_in))
        self.norm_in_bias = nn.Parameter(torch.zeros(groups, width_in))
        self.weight_in = nn.Parameter(torch.empty(groups, hidden, width_in))
        self.bias_in = nn.Parameter(torch.empty(groups, hidden))
        self.norm_hidden_weight = nn.Parameter(torch.ones(groups, hidden))
        self.norm_hidden_bias = nn.Parameter(torch.zeros(groups, hidden))
        self.weight_out = nn.Parameter(torch.empty(groups, width_out, hidden))
        self.bias_out = nn.Parameter(torch.empty(groups, width_out))
        self._tails: tuple[object, Tensor] | None = None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the linear layers as `nn.Linear` does, each from its own fan-in."""
        for weight, bias in ((self.weight_in, self.bias_in), (self.weight_out, self.bias_out)):
            bound = 1 / math.sqrt(weight.shape[2])
            nn.init.uniform_(weight, -bound, bound)
            nn.init.uniform_(bias, -bound, bound)

    @staticmethod
    def num_parameters(config: StudentConfig) -> int:
        """Two norms and two linear layers, in every group."""
        width_in = config.positions * config.d_model
        width_out = config.positions * config.d_out // config.groups
        first = 2 * width_in + (width_in + 1) * config.hidden
        second = 2 * config.hidden + (config.hidden + 1) * width_out
        return config.groups * (first + second)

    def mix(self, x: Tensor) -> Tensor:
        """Map `(batch, seq, d_model)`, zero at padding, to `(batch, seq, d_out)`."""
        batch, seq, d_model = x.shape
        d_group = self.config.d_out // self.config.groups
        dtype = _product_dtype(x, self.weight_in)
        flat = _at_least_float32(x.reshape(batch, seq * d_model))
        z, shift = normalise(flat, self.config.positions * d_model, EPS)
        pre = self._first_layer(z.to(dtype), shift.to(dtype), seq)  # (groups, batch, h)

        hidden = F.leaky_relu(_at_least_float32(pre), SLOPE)
        hidden = F.layer_norm(hidden, hidden.shape[-1:], eps=EPS)
        hidden = torch.addcmul(
            self.norm_hidden_bias[:, None], hidden, self.norm_hidden_weight[:, None]
        )

        rows = seq * d_group
        out = torch.baddbmm(
            self.bias_out[:, None, :rows].to(dtype),
            hidden.to(dtype),
            self.weight_out[:, :rows].to(dtype).transpose(1, 2),
        )  # (groups, batch, seq * d_group)
        return out.view(-1, batch, seq, d_group).permute(1, 2, 0, 3).flatten(2)

    def _first_layer(self, z: Tensor, shift: Tensor, seq: int) -> Tensor:
        """Both norm and linear, from what `normalise` gave, `(groups, batch, h)`."""
        weight, gamma, beta = self.weight_in, self.norm_in_weight, self.norm_in_bias
        trainable = weight.requires_grad or gamma.requires_grad or beta.requires_grad
        if trainable or weight.is_inference():
            sources: list[Tensor] = [weight, gamma, beta, self.bias_in]
            return NormedLinear.apply(z, shift, *(tensor.to(z.dtype) for tensor in sources))
        sources = [weight[:, :, : z.shape[1]], gamma, beta, self.bias_in, self._tail(seq)]
        return apply_normed(z, shift, *(tensor.to(z.dtype) for tensor in sources))

    def _tail(self, seq: int) -> Tensor:
        """`tail` of the positions from `seq` on, `(groups, 2, h)`, kept from call to call.

        Without it a single short sentence would read all of `weight_in` for a few sums. For frozen
        parameters only: fused optimisers change parameters without counting up their version.
        """
        sources = (self.weight_in, self.norm_in_weight, self.norm_in_bias)
        key = tuple((tensor.data_ptr(), tensor._version) for tensor in sources)
        if self._tails is None or self._tails[0] != key:
            weight, gamma, beta = (_at_least_float32(tensor) for tensor in sources)
            d_model, positions = self.config.d_model, self.config.positions
            sums = weight.new_zeros(positions + 1, weight.shape[0], 2, weight.shape[1])
            with torch.autocast(weight.device.type, enabled=False):
                for position in reversed(range(positions)):
                    at = slice(position * d_model, (position + 1) * d_model)
                    here = tail(weight[:, :, at], gamma[:, at], beta[:, at])
                    torch.add(sums[position + 1], here, out=sums[position])
            self._tails = (key, sums)
        return self._tails[1][seq]


def _at_least_float32(x: Tensor) -> Tensor:
    return x.to(torch.promote_types(x.dtype, torch.float32))


def _product_dtype(x: Tensor, weight: Tensor) -> torch.dtype:
    """The dtype of the matrix products: autocast's where it is on (it leaves float64 alone)."""
    device = x.device.type
    if torch.is_autocast_enabled(device) and weight.dtype != torch.float64:
        return torch.get_autocast_dtype(device)
    return weight.dtype
