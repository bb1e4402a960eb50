"""The teacher's attention as it decodes and trains: what a student of the method ALR replaces."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from attnreplace.students.base import State


class PlainAttention(nn.Module):
    """Queries, keys, values and the heads side by side; the out-projection stays in the layer.

    It has the methods of a student, for sentences without padding. As the library's cache does,
    decoding keeps keys and values `(batch, heads, tokens, d_model / heads)`, a step longer each
    time.
    """

    def __init__(self, d_model: int, heads: int, *, causal: bool) -> None:
        super().__init__()
        self.heads, self.causal = heads, causal
        self.q_proj, self.k_proj, self.v_proj = (nn.Linear(d_model, d_model) for _ in range(3))

    def mix(self, x: Tensor, memory: Tensor | None) -> Tensor:
        """Map `(batch, seq, d_model)` to the same; keys and values are of `memory`, where given."""
        keys, values = self._read(x if memory is None else memory)
        return self._mix(x, keys, values, self.causal)

    def decode(self, x: Tensor, state: State | None, start: int) -> tuple[Tensor, State]:
        """As `Student.decode`; many tokens at the start, or one later."""
        keys, values = self._read(x)
        if state is not None:
            keys, values = torch.cat([state[0], keys], 2), torch.cat([state[1], values], 2)
        return self._mix(x, keys, values, state is None), (keys, values)

    def read_memory(self, memory: Tensor, memory_mask: Tensor) -> State:
        """As `Student.read_memory`."""
        return self._read(memory)

    def answer(self, x: Tensor, share: State, start: int = 0) -> Tensor:
        """As `Student.answer`."""
        keys, values = share
        return self._mix(x, keys, values, False)

    def _read(self, tokens: Tensor) -> State:
        return self._split(self.k_proj(tokens)), self._split(self.v_proj(tokens))

    def _split(self, x: Tensor) -> Tensor:
        return x.unflatten(2, (self.heads, -1)).transpose(1, 2)

    def _mix(self, x: Tensor, keys: Tensor, values: Tensor, causal: bool) -> Tensor:
        query = self._split(self.q_proj(x))
        mixed = F.scaled_dot_product_attention(query, keys, values, is_causal=causal)
        return mixed.transpose(1, 2).flatten(2)
