"""A two-layer network over the tokens, the same for every channel.

The token branch of the FF-only model (Melas-Kyriazi, arXiv 2105.02723), with its
LayerNorm over the tokens; without it, that of MLP-Mixer (Tolstikhin et al., arXiv 2105.01601).
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from attnreplace.errors import UserError
from attnreplace.models.mixers.past import Past, extend
from attnreplace.models.mixers.spatial import check_length


class TokenMLP(nn.Module):
    """Linear(n, hidden) -> GELU -> Linear(hidden, n) along the tokens, after an optional norm.

    Padding is left out of the moments and read as zero after the norm.

    Causal, both matrices are block-triangular: the hidden units are shared out to the positions,
    those of position g read tokens 0..g only, and output i reads units of positions 0..i only. The
    norm takes its prefix form: what position g's units read is normalised by the moments of tokens
    0..g, since the moments of all tokens would show the later ones.
    """

    def __init__(
        self,
        positions: int,
        hidden: int,
        *,
        norm: bool = True,
        causal: bool = False,
        eps: float = 1e-6,
    ) -> None:
        """Build the network.

        Args:
            positions: n, the longest sequence.
            hidden: units of the hidden layer; causal, a multiple of `positions`.
            norm: normalise each channel over the tokens first.
            causal: no output depends on later tokens.
            eps: of the norm.

        Raises:
            UserError: the hidden units cannot be shared out to the positions.
        """
        super().__init__()
        if causal and hidden % positions:
            raise UserError(
                f"a causal token MLP of {positions} positions needs a multiple of them as hidden "
                f"units, not {hidden}"
            )
        self.positions = positions
        self.causal = causal
        self.norm = nn.LayerNorm(positions, eps=eps) if norm else None
        self.fc1 = nn.Linear(positions, hidden)
        self.fc2 = nn.Linear(hidden, positions)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Mix the tokens of every channel.

        Args:
            x: `(batch, seq, d)`.
            mask: which tokens are real, `(batch, seq)` bool; None for all.

        Returns:
            `(batch, seq, d)`.

        Raises:
            SequenceTooLong: there are more tokens than positions.
        """
        length = x.shape[1]
        check_length(length, self.positions)
        tokens = x.transpose(1, 2)  # (batch, d, seq)
        real = None if mask is None else mask.unsqueeze(1)
        if real is not None:
            tokens = tokens.masked_fill(~real, 0)
        if self.causal:
            return self._mix_prefixes(tokens, 0, self.fc2.bias[:length]).transpose(1, 2)
        if self.norm is not None:
            tokens = _norm_tokens(tokens, real, self.norm)
        hidden = F.gelu(F.linear(tokens, self.fc1.weight[:, :length], self.fc1.bias))
        out = F.linear(hidden, self.fc2.weight[:length], self.fc2.bias[:length])
        return out.transpose(1, 2)

    def decode(self, x: Tensor, past: Past | None, start: int) -> tuple[Tensor, Past]:
        """What `forward` gives at the next positions of a causal network.

        Args:
            x: positions from `start` on, `(batch, new, d)`, no padding.
            past: what the call for the positions before gave; None at the start.
            start: the position of the first column.

        Returns:
            `(batch, new, d)`, and what is kept: all tokens so far, and what their hidden units add
            to the output of every position, `(batch, positions, d)` each.

        Raises:
            SequenceTooLong: there are more tokens than positions.
        """
        end = start + x.shape[1]
        check_length(end, self.positions)
        tokens = extend(past[0] if past else None, x, start, self.positions)
        added = self._mix_prefixes(tokens[:, :end].transpose(1, 2), start, None, self.positions)
        sums = added.transpose(1, 2)
        if past:
            sums = past[1] + sums
        out = sums[:, start:end] + self.fc2.bias[start:end, None].to(sums.dtype)
        return out, (tokens, sums)

    def _mix_prefixes(
        self, tokens: Tensor, start: int, bias_out: Tensor | None, upto: int | None = None
    ) -> Tensor:
        """The causal form, of the hidden units of some positions.

        Args:
            tokens: `(batch, d, seq)`.
            start: the units of the positions from here to the end of the sequence.
            bias_out: of the second layer, `(upto,)`; None for none.
            upto: how many positions' outputs are wanted; None for those of the sequence.

        Returns:
            `(batch, d, upto)`.
        """
        length = tokens.shape[-1]
        share = self.fc1.out_features // self.positions
        column = torch.arange(length, device=tokens.device)
        # The position of each hidden unit, (units,).
        owner = column[start:].repeat_interleave(share)
        units = slice(start * share, length * share)
        first = self.fc1.weight[units, :length].masked_fill(owner.unsqueeze(1) < column, 0)
        bias = self.fc1.bias[units]
        if self.norm is None:
            hidden = F.linear(tokens, first, bias)
        else:
            hidden = _linear_of_normed_prefixes(tokens, first, bias, self.norm, owner)
        row = torch.arange(length if upto is None else upto, device=tokens.device)
        second = self.fc2.weight[: len(row), units].masked_fill(owner > row.unsqueeze(1), 0)
        return F.linear(F.gelu(hidden), second, bias_out)


def _norm_tokens(tokens: Tensor, real: Tensor | None, norm: nn.LayerNorm) -> Tensor:
    """LayerNorm over the real tokens of `(batch, d, seq)`, zero at padding."""
    length = tokens.shape[-1]
    weight, bias = norm.weight[:length], norm.bias[:length]
    if real is None:
        return F.layer_norm(tokens, (length,), weight, bias, norm.eps)
    wide = _at_least_float32(tokens)
    count = real.sum(-1, keepdim=True).clamp(min=1)
    centred = (wide - wide.sum(-1, keepdim=True) / count).masked_fill(~real, 0)
    variance = centred.square().sum(-1, keepdim=True) / count
    normed = centred * torch.rsqrt(variance + norm.eps) * weight + bias
    return normed.masked_fill(~real, 0).to(tokens.dtype)


def _linear_of_normed_prefixes(
    tokens: Tensor, weight: Tensor, bias: Tensor, norm: nn.LayerNorm, owner: Tensor
) -> Tensor:
    """What each hidden unit sees of its own prefix, normalised, `(batch, d, units)`.

    With A = weight * gamma, mu and r the mean and the reciprocal deviation of the unit's prefix:
    r (A x - mu A 1) + weight beta + bias, one product instead of one norm a position.

    Args:
        tokens: `(batch, d, seq)`.
        weight: `(units, seq)`, zero after each unit's prefix.
        bias: `(units,)`.
        norm: the norm over all positions.
        owner: the last token of each unit's prefix, `(units,)`.
    """
    length = tokens.shape[-1]
    gamma, beta = norm.weight[:length], norm.bias[:length]
    wide = _at_least_float32(tokens)
    # A norm does not see a constant: without the first token's value the difference of moments
    # keeps its digits where a channel has a large mean.
    wide = wide - wide[..., :1]
    count = torch.arange(1, length + 1, device=tokens.device)
    mean = wide.cumsum(-1) / count
    variance = (wide.square().cumsum(-1) / count - mean.square()).clamp(min=0)
    scaled = weight * gamma
    product = F.linear(wide.to(weight.dtype), scaled)
    centred = product - mean[..., owner] * scaled.sum(1)
    out = centred * torch.rsqrt(variance + norm.eps)[..., owner] + (weight @ beta + bias)
    return out.to(tokens.dtype)


def _at_least_float32(x: Tensor) -> Tensor:
    return x.to(torch.promote_types(x.dtype, torch.float32))
