"""Which tokens are real, from whatever mask a layer of a host is given."""

import torch
from torch import Tensor

from attnreplace.errors import UserError


def padding_mask(attention_mask: Tensor | None, hidden_states: Tensor) -> Tensor:
    """Which tokens of an attention's input are real, `(batch, seq)` bool.

    A layer gets the mask in the form its attention implementation wants: None where nothing is
    padded, `(batch, seq)` with non-zero for real tokens (flash), `(batch, 1 or heads, query, seq)`
    bool with True for attended keys (SDPA), or the same in floating point with 0 for attended keys
    and a large negative number elsewhere (eager). In a bidirectional mask all queries attend to
    the same keys, the real tokens; in a causal one the last query attends to all that are real: the
    last row of a 4D mask says everything.

    Args:
        attention_mask: what the layer was called with.
        hidden_states: what is attended to, `(batch, seq, d_model)`.

    Raises:
        UserError: the mask is of none of these forms.
    """
    batch, seq = hidden_states.shape[:2]
    if attention_mask is None:
        return torch.ones(batch, seq, dtype=torch.bool, device=hidden_states.device)
    if isinstance(attention_mask, Tensor):
        shape = attention_mask.shape
        if shape == (batch, seq):
            return attention_mask != 0
        if len(shape) == 4 and shape[0] == batch and shape[-1] == seq:
            row = attention_mask[:, 0, -1]
            if row.dtype == torch.bool:
                return row
            if row.is_floating_point():
                return row == 0
    kind = (
        f"{attention_mask.dtype} {tuple(attention_mask.shape)}"
        if isinstance(attention_mask, Tensor)
        else type(attention_mask).__name__
    )
    raise UserError(
        f"cannot read an attention mask of {kind} for input {tuple(hidden_states.shape)}; "
        'load the model with attn_implementation="sdpa" or "eager"'
    )
