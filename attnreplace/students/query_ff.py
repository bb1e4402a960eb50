r"""The cross-attention student of this project: the whole memory and one query at a time.

The input at position i is the memory, padded with zeros to N positions, and the query: n = (N+1)*d
values under one LayerNorm. No position sees another, so that it is causal and can decode. With m
the mean of the memory's N*d values and m + e_i, r_i the mean and scale of all n values at i,

    pre_i = W gamma (memory - m) r_i  -  e_i r_i (W gamma 1)  +  W beta + b  +  the query's columns,

where W, gamma, beta are those of the memory's columns. The three vectors are computed once a
sentence; a position costs a product of d columns, and three numbers. The moments at i come from
those of the memory and of the query by the pairwise update of Chan, Golub and LeVeque, in which
nothing cancels: with q the mean of the query, and sums of squares about the means,

    S_i = S_memory + S_query + (N*d * d / n) (q - m)^2,    e_i = (q - m) d / n.
"""

import torch
from torch import Tensor

from attnreplace.students.base import State
from attnreplace.students.column_products import column_products
from attnreplace.students.columns import at_least_float32
from attnreplace.students.normed_linear import centre
from attnreplace.students.shallow_ff import EPS, ShallowFF, without_autocast


class QueryFF(ShallowFF):
    """N positions of memory and one of target in, one position out."""

    def mix(self, x: Tensor, memory: Tensor | None) -> Tensor:
        """Map `(batch, seq, d_model)` and `(batch, source, d_model)` to `(batch, seq, d_out)`."""
        if memory is None:
            raise TypeError("this student reads a memory")
        return self._answer(x, self._share(memory))

    def read_memory(self, memory: Tensor, memory_mask: Tensor) -> State:
        """See the base class. The tensors: `(batch, groups, 3, h)`, and moments `(batch, 3)`."""
        self.check_length(memory.shape[1])
        return self._share(memory.masked_fill(~memory_mask.unsqueeze(-1), 0))

    def answer(self, x: Tensor, share: State, start: int = 0) -> Tensor:
        """See the base class."""
        return self._answer(x, share).to(x.dtype)

    def _share(self, memory: Tensor) -> State:
        """The memory's share of the first layer, and its mean, sum of squares and scale."""
        width = self.config.positions * self.config.d_model
        dtype = self.product_dtype(memory)
        with without_autocast(memory):
            centred, mean, squares = centre(at_least_float32(memory.flatten(1)), width)
            # The memory's own scale keeps the product in range; a position corrects it.
            scale = (squares / width + EPS).rsqrt()
            product, sums = column_products(
                centred * scale,
                -mean * scale,
                self.columns_memory,
                self.tails_memory,
                self.config.d_model,
                dtype,
            )
            gamma, beta = sums.unsqueeze(2).unbind(1)  # each (groups, 1, h)
            beta = beta + self.bias_in[:, None]
            parts = [product, gamma.expand_as(product), beta.expand_as(product)]
            return torch.stack(parts, 2).transpose(0, 1), torch.cat([mean, squares, scale], 1)

    def _answer(self, x: Tensor, share: State) -> Tensor:
        """All positions `(batch, seq, d_model)` of `x`, each from itself and the share."""
        vectors, moments = share
        batch, seq, d_model = x.shape
        width = (self.config.positions + 1) * d_model
        dtype = self.product_dtype(x)
        with without_autocast(x):
            query = at_least_float32(x)
            mean, squares, memory_scale = moments[:, None].split(1, 2)  # each (batch, 1, 1)
            own_mean = query.mean(2, keepdim=True)
            query = query - own_mean
            gap = own_mean - mean
            rest = width - d_model
            squares = squares + query.square().sum(2, keepdim=True)
            squares = squares + (rest * d_model / width) * gap.square()
            scale = (squares / width + EPS).rsqrt()
            factors = [scale / memory_scale, gap * scale * (-d_model / width)]
            coefficients = torch.cat([*factors, torch.ones_like(scale)], 2)  # (batch, seq, 3)
            vectors = vectors.transpose(0, 1)  # (groups, batch, 3, h)
            pre = torch.matmul(coefficients.to(vectors.dtype), vectors).flatten(1, 2)

            columns = self.columns_in
            z = (torch.add(query, gap, alpha=rest / width) * scale).flatten(0, 1)
            head = torch.addcmul(columns.beta[:, None], columns.gamma[:, None], z).to(dtype)
            weight = columns.weight.to(dtype).transpose(1, 2)
            if pre.dtype == dtype:
                pre = torch.baddbmm(pre, head, weight)
            else:
                pre = pre + torch.bmm(head, weight)
            out = self.finish(pre, dtype, self.config.d_out // self.config.groups)
        return out.view(-1, batch, seq, out.shape[2]).permute(1, 2, 0, 3).flatten(2)
