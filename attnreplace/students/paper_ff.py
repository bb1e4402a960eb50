"""The paper's cross-attention student: memory and target together, all positions at once.

Not causal: every output depends on every token of the target (Bozic et al., arXiv 2311.10642). It
can be trained on whole targets, but not decode step by step.

The input is the memory, padded to N positions, and the target, padded likewise. One LayerNorm spans
both; with its moments known, each half is a product over zero-padded columns as in `normed_linear`.
"""

import torch
from torch import Tensor

from attnreplace.students.columns import at_least_float32, normed_product
from attnreplace.students.normed_linear import normalise
from attnreplace.students.shallow_ff import EPS, ShallowFF, without_autocast


class PaperFF(ShallowFF):
    """N positions of memory and N of target in, N positions out."""

    frees_gradients = True

    def mix(self, x: Tensor, memory: Tensor | None) -> Tensor:
        """Map `(batch, seq, d_model)` and `(batch, source, d_model)` to `(batch, seq, d_out)`."""
        if memory is None:
            raise TypeError("this student reads a memory")
        batch, seq, d_model = x.shape
        d_group = self.config.d_out // self.config.groups
        dtype = self.product_dtype(x)
        with without_autocast(x):
            flat = at_least_float32(torch.cat([memory.flatten(1), x.flatten(1)], 1))
            z, shift = normalise(flat, 2 * self.config.positions * d_model, EPS)
            of_memory, of_target = z.split([memory.shape[1] * d_model, seq * d_model], 1)
            none, bias = torch.zeros_like(self.bias_in), self.bias_in
            pre = normed_product(
                of_memory, shift, self.columns_memory, none, self.tails_memory, d_model, dtype
            )
            pre = pre + normed_product(
                of_target, shift, self.columns_in, bias, self.tails_in, d_model, dtype
            )
            out = self.finish(pre, dtype, seq * d_group)
        return out.view(-1, batch, seq, d_group).permute(1, 2, 0, 3).flatten(2)
