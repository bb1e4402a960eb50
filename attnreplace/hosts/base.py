"""What a host is: a model family described by where its attention lives."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, cast, get_args

from torch import Tensor, nn
from transformers import PreTrainedModel

from attnreplace.errors import UserError

Stack = Literal["encoder", "decoder"]
Kind = Literal["self", "cross"]


@dataclass(frozen=True, order=True)
class Site:
    """One attention sub-layer of a model; written `encoder.self.0`."""

    stack: Stack
    kind: Kind
    layer: int

    def __str__(self) -> str:
        return f"{self.stack}.{self.kind}.{self.layer}"

    @classmethod
    def parse(cls, text: str) -> "Site":
        """Read what `str` wrote.

        Raises:
            UserError: the text names no site.
        """
        stack, _, rest = text.partition(".")
        kind, _, layer = rest.partition(".")
        known = stack in get_args(Stack) and kind in get_args(Kind)
        if not (known and layer.isascii() and layer.isdecimal()):
            raise UserError(f"{text!r} is not a site; write it as encoder.self.0")
        return cls(cast(Stack, stack), cast(Kind, kind), int(layer))


@dataclass(frozen=True)
class Location:
    """Where a site is in a model, and all that capturing and splicing need to know of it.

    It holds names rather than modules, so that it stays true after a module was replaced.
    """

    site: Site
    layers: nn.ModuleList
    """The stack's layers."""
    attention_name: str
    """Attribute of the layer that holds the attention module."""
    norm_name: str
    """Attribute of the layer that holds the sub-layer's LayerNorm."""
    out_proj_name: str
    """Attribute of the attention module that holds the out-projection."""
    norm_first: bool
    """True where the norm comes before the attention (pre-LN), False where after the residual."""
    num_heads: int
    d_model: int

    @property
    def layer(self) -> nn.Module:
        """The layer the site belongs to."""
        return self.layers[self.site.layer]

    @property
    def attention(self) -> nn.Module:
        """The attention module; what it returns first is the out-projection's output."""
        return cast(nn.Module, getattr(self.layer, self.attention_name))

    @property
    def norm(self) -> nn.Module:
        """The sub-layer's LayerNorm."""
        return cast(nn.Module, getattr(self.layer, self.norm_name))

    @property
    def out_proj(self) -> nn.Module:
        """Maps the concatenated heads, `(..., d_model)`, back to `(..., d_model)`."""
        return cast(nn.Module, getattr(self.attention, self.out_proj_name))

    def pre_norm(self, x: Tensor) -> Tensor:
        """What the attention reads, `(..., d_model)`, from the residual stream of that shape."""
        return cast(Tensor, self.norm(x)) if self.norm_first else x

    @property
    def tensor_names(self) -> dict[str, str]:
        """The name of each tensor at this site, by role: what captures and stores go by.

        `hidden_states`: the residual stream entering the sub-layer. For self-attention this is
        what enters the layer, numbered as the layer; number L leaves the last layer, before the
        stack's final norm. `heads`: the heads, concatenated, before the out-projection.
        `layer_output`: what leaves the layer, the next layer's `hidden_states`.
        """
        stack, kind, layer = self.site.stack, self.site.kind, self.site.layer
        heads = f"{stack}.{kind}.heads.{layer}"
        if kind == "cross":
            return {"hidden_states": f"{stack}.cross.hidden_states.{layer}", "heads": heads}
        return {
            "hidden_states": f"{stack}.hidden_states.{layer}",
            "heads": heads,
            "layer_output": f"{stack}.hidden_states.{layer + 1}",
        }


class Host(ABC):
    """A model family. Description only: a host changes nothing in a model."""

    model_types: Sequence[str]
    """The values of `model.config.model_type` that this host describes."""

    @abstractmethod
    def sites(self, model: PreTrainedModel) -> list[Site]:
        """Every attention sub-layer of `model`, in the order of `Site`."""

    @abstractmethod
    def locate(self, model: PreTrainedModel, site: Site) -> Location:
        """Where `site` is in `model`.

        Raises:
            UserError: the model has no such site.
        """
