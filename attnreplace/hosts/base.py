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
Group = Literal["encoder", "decoder", "cross"]
Axis = Literal["source", "target"]

GROUPS: tuple[Group, ...] = get_args(Group)
"""Groups of sites: the encoder's self-attention, the decoder's, and its cross-attention."""


@dataclass(frozen=True, order=True)
class Site:
    """One attention sub-layer of a model; written `encoder.self.0`."""

    stack: Stack
    kind: Kind
    layer: int

    def __str__(self) -> str:
        return f"{self.stack}.{self.kind}.{self.layer}"

    @property
    def group(self) -> Group:
        """Which of `GROUPS` the site belongs to."""
        return "cross" if self.kind == "cross" else self.stack

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


def axis_of(name: str) -> Axis:
    """The axis of tokens of a tensor: "source" or "target".

    Args:
        name: a value of `Location.tensor_names`.
    """
    return "target" if name.startswith("decoder.") else "source"


def parse_layers(text: str, count: int) -> list[int]:
    """Read a choice of layers, such as "0,2-5".

    Args:
        text: numbers and ranges, both ends included; empty for all layers.
        count: how many layers there are.

    Returns:
        The layers, ascending, each once.

    Raises:
        UserError: the text is no choice of layers, or one of them is not there.
    """
    if not text.strip():
        return list(range(count))
    chosen: set[int] = set()
    for part in text.split(","):
        start, dash, end = (piece.strip() for piece in part.partition("-"))
        ends = (start, end if dash else start)
        if not all(number.isascii() and number.isdecimal() for number in ends):
            raise UserError(f"{text!r} is not a choice of layers; write it as 0,2-5")
        first, last = map(int, ends)
        if last < first:
            raise UserError(f"{part.strip()!r} runs backwards; write layers as 0,2-5")
        if last >= count:
            raise UserError(f"there is no layer {last}; choose from 0 to {count - 1}")
        chosen.update(range(first, last + 1))
    return sorted(chosen)


def format_layers(layers: Sequence[int]) -> str:
    """What `parse_layers` reads as these layers: "0,2-5"."""
    runs: list[list[int]] = []
    for layer in sorted(set(layers)):
        if runs and runs[-1][1] == layer - 1:
            runs[-1][1] = layer
        else:
            runs.append([layer, layer])
    return ",".join(f"{first}-{last}" if last > first else f"{first}" for first, last in runs)


@dataclass(frozen=True)
class Location:
    """Where a site is in a model, and all that capturing and splicing need to know of it.

    It holds names rather than modules, so that it stays true after a module was replaced. Names of
    modules are dotted paths from the layer.
    """

    site: Site
    layers: nn.ModuleList
    """The stack's layers."""
    attention_name: str
    """The attention module."""
    norm_name: str
    """The sub-layer's LayerNorm."""
    out_proj_name: str
    """The out-projection: inside the attention module, or behind it."""
    norm_first: bool
    """True where the norm comes before the attention (pre-LN), False where after the residual."""
    num_heads: int
    d_model: int
    memory_name: str = ""
    """At cross-attention: the store name of what leaves the encoder. Empty elsewhere."""

    @property
    def axis(self) -> Axis:
        """The axis of the site's own tokens; at cross-attention that of the queries."""
        return "source" if self.site.stack == "encoder" else "target"

    @property
    def layer(self) -> nn.Module:
        """The layer the site belongs to."""
        return self.layers[self.site.layer]

    @property
    def attention(self) -> nn.Module:
        """The attention module; what it returns first is the out-projection's output.

        Where the out-projection stands behind it, it returns the concatenated heads instead.
        """
        return self.layer.get_submodule(self.attention_name)

    @property
    def norm(self) -> nn.Module:
        """The sub-layer's LayerNorm."""
        return self.layer.get_submodule(self.norm_name)

    @property
    def out_proj(self) -> nn.Module:
        """Maps the concatenated heads, `(..., d_model)`, back to `(..., d_model)`."""
        return self.layer.get_submodule(self.out_proj_name)

    @property
    def inner_out_proj(self) -> str | None:
        """The out-projection's attribute of the attention module; None where it stands behind."""
        inside = f"{self.attention_name}."
        if not self.out_proj_name.startswith(inside):
            return None
        return self.out_proj_name.removeprefix(inside)

    def pre_norm(self, x: Tensor) -> Tensor:
        """What the attention reads, `(..., d_model)`, from the residual stream of that shape."""
        return cast(Tensor, self.norm(x)) if self.norm_first else x

    @property
    def tensor_names(self) -> dict[str, str]:
        """The name of each tensor at this site, by role: what captures and stores go by.

        `hidden_states`: the residual stream entering the sub-layer. For self-attention this is
        what enters the layer, numbered as the layer; number L leaves the last layer, before the
        stack's final norm. `heads`: the heads, concatenated, before the out-projection.
        `layer_output` (encoder): what leaves the layer, the next layer's `hidden_states`.
        `memory` (cross-attention): what leaves the encoder; it alone lies along the source.
        """
        stack, kind, layer = self.site.stack, self.site.kind, self.site.layer
        heads = f"{stack}.{kind}.heads.{layer}"
        if kind == "cross":
            stream = f"{stack}.cross.hidden_states.{layer}"
            return {"hidden_states": stream, "heads": heads, "memory": self.memory_name}
        names = {"hidden_states": f"{stack}.hidden_states.{layer}", "heads": heads}
        if stack == "encoder":
            names["layer_output"] = f"{stack}.hidden_states.{layer + 1}"
        return names


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

    @abstractmethod
    def positions(self, model: PreTrainedModel) -> int:
        """The most tokens that `model` was built to read."""
