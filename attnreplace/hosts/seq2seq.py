"""The BART family of `transformers`: encoder-decoders that share one layer layout."""

from typing import cast

from torch import nn
from transformers import PreTrainedModel

from attnreplace.errors import UserError
from attnreplace.hosts.base import Host, Location, Site

NORM_FIRST = {"m2m_100": True, "mbart": True, "marian": False, "bart": False}
"""Whether a model type normalises before the attention (pre-LN). M2M-100 covers NLLB."""

MODULES = {
    "self": ("self_attn", "self_attn_layer_norm"),
    "cross": ("encoder_attn", "encoder_attn_layer_norm"),
}
"""Attention and norm attributes of a layer, by the kind of the site."""

FINAL_NORM = "layer_norm"
"""Attribute of a stack that holds its final norm, where there is one."""


class Seq2Seq(Host):
    """M2M-100 and NLLB, mBART, Marian, BART."""

    model_types = tuple(NORM_FIRST)

    def sites(self, model: PreTrainedModel) -> list[Site]:
        """Decoder cross, decoder self, then encoder self, each by layer."""
        encoder, decoder = model.config.encoder_layers, model.config.decoder_layers
        return sorted(
            [Site("encoder", "self", layer) for layer in range(encoder)]
            + [Site("decoder", "self", layer) for layer in range(decoder)]
            + [Site("decoder", "cross", layer) for layer in range(decoder)]
        )

    def locate(self, model: PreTrainedModel, site: Site) -> Location:
        """Where `site` is in `model`."""
        config = model.config
        sites = self.sites(model)
        if site not in sites:
            raise UserError(
                f"the model has no site {site}; it has {config.encoder_layers} encoder and "
                f"{config.decoder_layers} decoder layers, counted from 0"
            )
        encoder = site.stack == "encoder"
        attention_name, norm_name = MODULES[site.kind]
        # Without a final norm the memory is what leaves the last layer: no tensor has two names.
        memory = (
            "encoder.memory"
            if hasattr(model.get_encoder(), FINAL_NORM)
            else f"encoder.hidden_states.{config.encoder_layers}"
        )
        return Location(
            site=site,
            layers=cast(
                nn.ModuleList, (model.get_encoder() if encoder else model.get_decoder()).layers
            ),
            attention_name=attention_name,
            norm_name=norm_name,
            out_proj_name=f"{attention_name}.out_proj",
            norm_first=NORM_FIRST[config.model_type],
            num_heads=config.encoder_attention_heads if encoder else config.decoder_attention_heads,
            d_model=config.d_model,
            memory_name=memory if site.kind == "cross" else "",
        )

    def positions(self, model: PreTrainedModel) -> int:
        """What the configuration says; sinusoidal positions could go beyond it."""
        return int(model.config.max_position_embeddings)
