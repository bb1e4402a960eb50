"""Running a model's blocks one after the other."""

from typing import Any, Protocol

from torch import Tensor, nn
from transformers import PreTrainedConfig


class Stack(Protocol):
    """A model with blocks, each mapping `(batch, seq, d)` to `(batch, seq, d)`."""

    config: PreTrainedConfig
    layers: nn.ModuleList


def run_blocks(
    model: Stack, x: Tensor, keep: bool | None, *inputs: Any
) -> tuple[Tensor, tuple[Tensor, ...] | None]:
    """Run `model.layers`.

    Args:
        model: whose blocks.
        x: `(batch, seq, d)`.
        keep: keep what goes into each block and what comes out of the last; None: as the model's
            configuration says.
        inputs: what every block is given besides.

    Returns:
        What the last block gives, `(batch, seq, d)`, and what was kept.
    """
    keep = model.config.output_hidden_states if keep is None else keep
    states = [x] if keep else []
    for layer in model.layers:
        x = layer(x, *inputs)
        if keep:
            states.append(x)
    return x, tuple(states) if keep else None
