"""What hosts that are encoders alone have in common."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from torch import nn
from transformers import PreTrainedModel

from attnreplace.errors import UserError
from attnreplace.hosts.base import Host, Location, Site


@dataclass(frozen=True)
class Layout:
    """Dotted paths to the parts of an encoder."""

    layers: str
    """The layers, from the base model."""
    attention: str
    """The attention module, from a layer; as are the next two."""
    norm: str
    out_proj: str
    norm_first: bool
    """Whether the norm comes before the attention (pre-LN)."""


class EncoderOnly(Host):
    """A bidirectional encoder, bare or with any head of the library around it."""

    layouts: Mapping[str, Layout]
    """By model type."""

    @property
    def model_types(self) -> Sequence[str]:  # type: ignore[override]
        """Those of the layouts."""
        return tuple(self.layouts)

    def sites(self, model: PreTrainedModel) -> list[Site]:
        """The self-attention of every layer.

        Raises:
            UserError: the model is set up as a decoder, whose attention is causal.
        """
        if getattr(model.config, "is_decoder", False):
            raise UserError(
                f"this {model.config.model_type} model is a decoder; load it with is_decoder=False"
            )
        return [Site("encoder", "self", i) for i in range(model.config.num_hidden_layers)]

    def locate(self, model: PreTrainedModel, site: Site) -> Location:
        """Where `site` is in `model`."""
        sites = self.sites(model)
        if site not in sites:
            raise UserError(
                f"the model has no site {site}; it has {len(sites)} encoder layers, counted from 0"
            )
        config, layout = model.config, self.layouts[model.config.model_type]
        return Location(
            site=site,
            layers=cast(nn.ModuleList, base_model(model).get_submodule(layout.layers)),
            attention_name=layout.attention,
            norm_name=layout.norm,
            out_proj_name=layout.out_proj,
            norm_first=layout.norm_first,
            num_heads=config.num_attention_heads,
            d_model=config.hidden_size,
        )

    def positions(self, model: PreTrainedModel) -> int:
        """The rows of the table of positions that tokens can have."""
        return self.rows(cast(Any, base_model(model)).embeddings.position_embeddings)

    @abstractmethod
    def rows(self, table: Any) -> int:
        """How many tokens a table of positions is for.

        Args:
            table: the embedding module's `position_embeddings`.
        """


def base_model(model: PreTrainedModel) -> PreTrainedModel:
    """The model without its head; the model itself where it has none."""
    return cast(PreTrainedModel, model.base_model)
