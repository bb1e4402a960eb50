r"""The decoder's student: at every position the tokens up to it, one network for all positions.

The definition: for position i the input, all later tokens set to zero, goes through a network of
the whole width; N passes a sentence (Bozic et al., arXiv 2311.10642). Here all positions come out
of one pass. LayerNorm does not change when all n = N*d values move by the same number c: let
u = x - c, which is -c where the input is zero. With P_i the running sum of W_j (gamma_j * u_j) (see
`position_products`), T_i the sum of W_j gamma_j over the positions after i, and m_i, r_i the mean
and scale of all values at i,

    pre_i = r_i (P_i - c T_i - (m_i - c) W gamma) + W beta + b.

Mean and scale come from running sums of u and u^2, divided by n: A_i and Q_i. Of all values a share
of f_i = (i+1)/N is not masked, so that, by the variance within that share and between it and zero,

    m_i = A_i + f_i c,    var_i = Q_i - A_i^2 / f_i + m_i^2 (1 - f_i) / f_i.

c is the mean of the first token, which lies in every prefix: a residual stream with a large mean
costs no digits, and no output depends on a later token.

The same sums are all that decoding step by step has to keep: O(h) a sentence.
"""

import torch
from torch import Tensor

from attnreplace.students.base import State
from attnreplace.students.columns import at_least_float32
from attnreplace.students.position_products import PositionProducts, RunningSum, products
from attnreplace.students.shallow_ff import EPS, ShallowFF, without_autocast


class PrefixFF(ShallowFF):
    """The positions up to i of N in, position i out."""

    def mix(self, x: Tensor, memory: Tensor | None) -> Tensor:
        """Map `(batch, seq, d_model)`, zero at padding, to `(batch, seq, d_out)`."""
        return self._run(x, None, 0)[0]

    def decode(self, x: Tensor, state: State | None, start: int) -> tuple[Tensor, State]:
        """See the base class. The state: P `(batch, groups, h)`, c `(batch,)`, sums `(batch, 2)`.

        The sums are of float64.
        """
        self.check_length(start + x.shape[1])
        if state is not None and x.shape[1] == 1 and self.columns_in.frozen:
            out, state = self._step(x, state, start)
        else:
            out, state = self._run(x, state, start)
        return out.to(x.dtype), state

    def _run(self, x: Tensor, state: State | None, start: int) -> tuple[Tensor, State]:
        """`decode`, which starts as `forward` does; the output in the products' dtype."""
        dtype, groups = self.product_dtype(x), self.config.groups
        with without_autocast(x):
            x = at_least_float32(x)
            before = before_sums = None
            if state is None:
                shift = x[:, 0].detach().mean(1)
            else:
                before, shift, before_sums = state
            u = (x - shift[:, None, None]).transpose(0, 1)  # (seq, batch, d_model)
            seq, batch, _ = u.shape
            sums = torch.stack([u.sum(2), u.square().sum(2)], 2).double().cumsum(0)
            if before_sums is not None:
                sums = sums + before_sums
            mean, scale = self._moments(sums, shift, start)

            each, tails = self._products(u, start, dtype)
            total = RunningSum.apply(each, None if before is None else before.transpose(0, 1))
            factors = torch.stack([shift.expand_as(mean), mean - shift], 2)
            later, every = tails[start + 1 : start + seq + 1, :, 0], tails[0, :, 0]
            vectors = torch.stack([later, every.expand_as(later)], 2)  # (seq, groups, 2, h)
            centred = torch.baddbmm(
                total.flatten(0, 1),
                factors.to(total.dtype).repeat(groups, 1, 1),
                vectors.transpose(0, 1).flatten(0, 1).to(total.dtype),
                alpha=-1,
            )
            pre = torch.addcmul(
                (tails[0, :, 1] + self.bias_in).to(total.dtype)[:, None],
                centred.view(groups, seq * batch, -1),
                scale.to(total.dtype).view(-1, 1),
            )
            out = self.finish(pre, dtype, self.config.d_out // groups)
            out = out.view(groups, seq, batch, -1).permute(2, 1, 0, 3).flatten(2)
            return out, (total[:, -1].transpose(0, 1).clone(), shift, sums[-1].clone())

    def _step(self, x: Tensor, state: State, position: int) -> tuple[Tensor, State]:
        """`_run` for a single token: the same in half as many operations, whose number counts."""
        dtype, groups = self.product_dtype(x), self.config.groups
        d_model, positions = self.config.d_model, self.config.positions
        columns, at = self.columns_in, slice(position * d_model, (position + 1) * d_model)
        before, shift, sums = state
        with without_autocast(x):
            u = at_least_float32(x[:, 0]) - shift[:, None]
            sums = torch.stack([u.sum(1), u.square().sum(1)], 1) + sums
            share = (position + 1) / positions
            total, squares = (sums / (positions * d_model)).unbind(1)
            mean = torch.add(total, shift, alpha=share)
            within = torch.add(squares, total.square(), alpha=-1 / share)
            variance = torch.add(within, mean.square(), alpha=1 / share - 1)
            scale = (variance + EPS).rsqrt().to(before.dtype)

            head = (columns.gamma[:, None, at] * u).to(dtype)
            weight = columns.weight[:, :, at].to(dtype).transpose(1, 2)
            before = before.transpose(0, 1) + torch.bmm(head, weight)  # (groups, batch, h)
            tails = self.tails_in.of(columns, d_model)
            vectors = torch.stack([tails[position + 1, :, 0], tails[0, :, 0]], 1)
            factors = torch.stack([shift, mean - shift], 1).to(before.dtype)
            centred = torch.baddbmm(before, factors.expand(groups, -1, -1), vectors, alpha=-1)
            base = tails[0, :, 1] + self.bias_in
            pre = torch.addcmul(base[:, None], centred, scale[:, None])
            out = self.finish(pre, dtype, self.config.d_out // groups)
        return out.transpose(0, 1).flatten(1)[:, None], (before.transpose(0, 1), shift, sums)

    def _moments(self, sums: Tensor, shift: Tensor, start: int) -> tuple[Tensor, Tensor]:
        """Mean and scale of all N*d values at each position, `(seq, batch)` in float64.

        Args:
            sums: running sums of u and of its square, `(seq, batch, 2)`.
            shift: c, `(batch,)`.
            start: the first position.
        """
        d_model, positions = self.config.d_model, self.config.positions
        end = start + 1 + len(sums)
        share = torch.arange(start + 1, end, dtype=sums.dtype, device=sums.device)[:, None]
        share = share / positions
        inverse = share.reciprocal()
        total, squares = (sums / (positions * d_model)).unbind(2)
        mean = torch.addcmul(total, share, shift.to(sums.dtype))
        within = torch.addcmul(squares, total.square(), inverse, value=-1)
        variance = torch.addcmul(within, mean.square(), inverse - 1)
        return mean, (variance + EPS).rsqrt()

    def _products(self, u: Tensor, start: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """Products of the positions from `start` on, `(groups, seq, batch, h)`, and `Tails`."""
        columns, d_model = self.columns_in, self.config.d_model
        if columns.frozen:
            at = slice(start * d_model, (start + u.shape[0]) * d_model)
            each = products(u, columns.weight[:, :, at], columns.gamma[:, at], dtype)
            return each, self.tails_in.of(columns, d_model)
        self.tails_in.forget()
        each, sums = PositionProducts.apply(u, *columns, start, dtype)
        tails = sums.transpose(0, 1).flip(0).cumsum(0).flip(0)
        return each, torch.cat([tails, torch.zeros_like(tails[:1])])
