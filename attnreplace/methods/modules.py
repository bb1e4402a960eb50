"""What takes the place of an attention or a layer: a student behind the host's signature."""

from typing import Any

from torch import Tensor, nn
from transformers.cache_utils import Cache

from attnreplace.hosts import Location
from attnreplace.methods.reading import Reading, Sentence


class HeadsReplacement(nn.Module):
    """Attention whose heads come from a student; the out-projection stays the host's."""

    def __init__(self, student: nn.Module, read: Reading, location: Location) -> None:
        super().__init__()
        self.student = student
        self.read = read
        self.inner_out_proj = location.inner_out_proj
        if self.inner_out_proj is not None:
            self.add_module(self.inner_out_proj, location.out_proj)

    def forward(
        self,
        hidden_states: Tensor,
        attention_mask: Tensor | None = None,
        key_value_states: Tensor | None = None,
        past_key_values: Cache | None = None,
        **kwargs: Any,
    ) -> tuple[Tensor, None]:
        """What the attention gives, `(batch, seq, d_model)`; there are no attention weights."""
        heads = self.read(
            self.student, hidden_states, attention_mask, key_value_states, past_key_values
        )
        if self.inner_out_proj is None:
            return heads, None
        return self.get_submodule(self.inner_out_proj)(heads), None


class ResidualReplacement(nn.Module):
    """Attention and its residual from a student.

    The host adds the residual again, so that x is taken off here: x + (student(x) - x). Dropout in
    a host in training mode would come between the two; a spliced model is in eval mode.
    """

    def __init__(self, student: nn.Module, read: Reading) -> None:
        super().__init__()
        self.student = student
        self.read = read

    def forward(
        self,
        hidden_states: Tensor,
        attention_mask: Tensor | None = None,
        key_value_states: Tensor | None = None,
        past_key_values: Cache | None = None,
        **kwargs: Any,
    ) -> tuple[Tensor, None]:
        """The student's output less the input, `(batch, seq, d_model)`."""
        out = self.read(
            self.student, hidden_states, attention_mask, key_value_states, past_key_values
        )
        return out - hidden_states, None


class LayerReplacement(nn.Module):
    """A whole encoder layer from a student.

    Not being of the host's layer class, it leaves no entry in `output_hidden_states`.
    """

    def __init__(self, student: nn.Module) -> None:
        super().__init__()
        self.student = student
        self.read = Sentence()

    def forward(
        self, hidden_states: Tensor, attention_mask: Tensor | None = None, *args: Any, **kwargs: Any
    ) -> Tensor:
        """The layer's output, `(batch, seq, d_model)`."""
        return self.read(self.student, hidden_states, attention_mask)


def replace_whole(location: Location, module: nn.Module) -> None:
    """Put a module in place of an attention and its out-projection, wherever that stands.

    Args:
        location: the site in the model.
        module: has the attention's call signature; gives `(batch, seq, d_model)` and None.
    """
    location.layer.set_submodule(location.attention_name, module)
    if location.inner_out_proj is None:
        location.layer.set_submodule(location.out_proj_name, nn.Identity())
