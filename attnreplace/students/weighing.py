"""Students that mix the values of the tokens by weights: everything but the weights.

A block normalises what it reads, maps each token to its values and mixes these for every head by
weights `(batch, heads, new, seq)`, which are its family's own:

    y_i = [ sum_j w_h(i, j) V_h LN(m_j) ]_h, and a linear map of it where the family has one,

m being the memory, or x itself in self-attention, up to position i in the decoder. Values and
weights are far fewer than the shallow networks' parameters, and do not grow with N (but where the
weights themselves belong to positions).
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from attnreplace.students.base import State, StudentConfig
from attnreplace.students.columns import at_least_float32
from attnreplace.students.mixer import EPS, CrossBlock, SelfBlock, normed


class WeighingBlock(SelfBlock, CrossBlock):
    """LayerNorm, values, weights, and perhaps a projection. A family adds `weigh`.

    Decoding keeps the values of all tokens so far, and what `keys` makes of them, in one tensor
    `(batch, tokens, width + keys)` that grows like the keys and values of an attention. The share
    of a memory is the same, and which of its tokens are real.
    """

    def __init__(
        self,
        config: StudentConfig,
        d_out: int,
        *,
        width: int,
        heads: int,
        shared: bool = False,
        project: bool = False,
    ) -> None:
        """Build what the families share.

        Args:
            config: of the student.
            d_out: channels of the output.
            width: channels of the values.
            heads: how many mixes there are.
            shared: whether every head mixes all channels of the values, not a share of its own.
            project: whether a linear map follows.
        """
        super().__init__()
        cross = config.form == "per-query"
        self.kept = 2 if cross else 1
        self.causal = config.form == "prefix"
        self.heads, self.shared = heads, shared
        self.norm = nn.LayerNorm(config.d_model, eps=EPS)
        self.norm_memory = nn.LayerNorm(config.d_model, eps=EPS) if cross else None
        self.values = nn.Linear(config.d_model, width)
        mixed = width * (heads if shared else 1)
        self.project = nn.Linear(mixed, d_out) if project else None

    def keys(self, read: Tensor) -> Tensor | None:
        """What the weights need of each token that is read, `(batch, seq, d_model)` to a width."""
        return None

    def weigh(self, query: Tensor, keys: Tensor, allowed: Tensor, start: int) -> Tensor:
        """The weights, zero where they are not allowed.

        Args:
            query: the tokens that ask, normalised, `(batch, new, d_model)`.
            keys: what `keys` made of the tokens that are read, `(batch, seq, keys)`.
            allowed: which of these each may read, `(batch or 1, 1, new or 1, seq)` bool.
            start: position of the first token that asks.

        Returns:
            `(batch or 1, heads, new, seq)`, float32 or wider.
        """
        raise NotImplementedError

    def forward(self, x: Tensor, real: Tensor) -> Tensor:
        """See the base class."""
        read = normed(x, self.norm)
        allowed = real[:, None, None]
        if self.causal:
            allowed = allowed & _earlier(0, x.shape[1], x.device)
        return self._mix(read, self._note(read), allowed, 0)

    def decode(self, x: Tensor, state: State | None, start: int) -> tuple[Tensor, State]:
        """See the base class."""
        read = normed(x, self.norm)
        noted = self._note(read)
        if state is not None:
            noted = torch.cat([state[0], noted.to(state[0].dtype)], 1)
        allowed = _earlier(start, noted.shape[1], x.device)[None, None]
        return self._mix(read, noted, allowed, start), (noted,)

    def read(self, memory: Tensor, real: Tensor) -> State:
        """See the base class."""
        assert self.norm_memory is not None
        return self._note(normed(memory, self.norm_memory)), real

    def answer(self, x: Tensor, share: State, start: int) -> Tensor:
        """See the base class."""
        noted, real = share
        return self._mix(normed(x, self.norm), noted, real[:, None, None], start)

    def _note(self, read: Tensor) -> Tensor:
        """Values and keys side by side, `(batch, seq, width + keys)`."""
        values, keys = self.values(read), self.keys(read)
        return values if keys is None else torch.cat([values, keys.to(values.dtype)], -1)

    def _mix(self, query: Tensor, noted: Tensor, allowed: Tensor, start: int) -> Tensor:
        width = self.values.out_features
        weights = self.weigh(query, noted[..., width:], allowed, start)
        values = split_heads(noted[..., :width], 1 if self.shared else self.heads)
        return self.finish(torch.matmul(weights.to(values.dtype), values))

    def finish(self, mixed: Tensor) -> Tensor:
        """The heads `(batch, heads, new, width)` side by side, projected where they are."""
        out = mixed.transpose(1, 2).flatten(2)
        return out if self.project is None else self.project(out.to(self.project.weight.dtype))


def block_parameters(config: StudentConfig, width: int, mixed: int, d_out: int) -> int:
    """Norms, values and projection of a block.

    Args:
        config: of the student.
        width: channels of the values.
        mixed: channels that the projection reads; 0 without one.
        d_out: channels of the output.
    """
    norms = 4 if config.form == "per-query" else 2
    project = (mixed + 1) * d_out if mixed else 0
    return norms * config.d_model + (config.d_model + 1) * width + project


def split_heads(x: Tensor, heads: int) -> Tensor:
    """`(batch, seq, heads * width)` to `(batch, heads, seq, width)`."""
    return x.unflatten(2, (heads, -1)).transpose(1, 2)


def softmax_over(logits: Tensor, allowed: Tensor) -> Tensor:
    """Softmax over what is allowed, in float32 or wider; zero where nothing is."""
    wide = at_least_float32(logits)
    # Not minus infinity, of which a row that may read nothing would make no numbers at all.
    kept = wide.masked_fill(~allowed, torch.finfo(wide.dtype).min)
    return F.softmax(kept, -1).masked_fill(~allowed, 0)


def normalise_over(scores: Tensor, allowed: Tensor) -> Tensor:
    """Positive scores over their sum where they are allowed; zero where nothing is."""
    kept = at_least_float32(scores).masked_fill(~allowed, 0)
    total = kept.sum(-1, keepdim=True)
    return kept / total.masked_fill(total == 0, 1)


def _earlier(start: int, end: int, device: torch.device) -> Tensor:
    """Which tokens the positions from `start` to `end` may read, `(end - start, end)` bool."""
    column = torch.arange(end, device=device)
    return column <= column[start:, None]
