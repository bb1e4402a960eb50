"""The encoder's student: the whole sentence, all positions at once.

Only the positions of the batch's longest sentence take part in the two large products; the result
is the same (see `normed_linear`).
"""

from torch import Tensor

from attnreplace.students.columns import at_least_float32, normed_product
from attnreplace.students.normed_linear import normalise
from attnreplace.students.shallow_ff import EPS, ShallowFF, without_autocast


class SentenceFF(ShallowFF):
    """N positions in, N positions out."""

    frees_gradients = True

    def mix(self, x: Tensor, memory: Tensor | None) -> Tensor:
        """Map `(batch, seq, d_model)`, zero at padding, to `(batch, seq, d_out)`."""
        batch, seq, d_model = x.shape
        d_group = self.config.d_out // self.config.groups
        dtype = self.product_dtype(x)
        with without_autocast(x):
            flat = at_least_float32(x.reshape(batch, seq * d_model))
            z, shift = normalise(flat, self.config.positions * d_model, EPS)
            pre = normed_product(
                z, shift, self.columns_in, self.bias_in, self.tails_in, d_model, dtype
            )
            out = self.finish(pre, dtype, seq * d_group)
        return out.view(-1, batch, seq, d_group).permute(1, 2, 0, 3).flatten(2)
