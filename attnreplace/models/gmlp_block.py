"""The block of gMLP and aMLP, and what their models share."""

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.modeling_layers import GradientCheckpointingLayer

from attnreplace.models.drop_path import DropPath, drop_path_rates
from attnreplace.models.gmlp_config import GMLPConfig
from attnreplace.models.initialise import init_module
from attnreplace.models.mixers import GatedMLP


class GMLPBlock(GradientCheckpointingLayer):
    """y = x + s(GELU(LN(x) U)) V (Liu et al., arXiv 2105.08050, Figure 1 and eq. 1)."""

    def __init__(self, config: GMLPConfig, drop_path: float) -> None:
        super().__init__()
        width, eps = config.hidden_size, config.layer_norm_eps
        self.norm = nn.LayerNorm(width, eps=eps)
        self.mixer = GatedMLP(
            width,
            config.intermediate_size,
            width,
            config.positions,
            gate=config.gate,
            spatial=config.spatial,
            attention_size=config.attention_size,
            eps=eps,
        )
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Map `(batch, seq, d)` to `(batch, seq, d)`.

        Args:
            x: `(batch, seq, d)`.
            mask: which tokens are real, `(batch, seq)` bool; None for all.
        """
        return x + self.drop_path(self.mixer(self.norm(x), mask))


class GMLPPreTrainedModel(PreTrainedModel):
    """Initialisation, saving and loading of gMLP models."""

    config_class = GMLPConfig
    base_model_prefix = "gmlp"
    supports_gradient_checkpointing = True
    _no_split_modules = ["GMLPBlock"]  # noqa: RUF012

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        init_module(module, self.config.initializer_range)


def build_layers(config: GMLPConfig) -> nn.ModuleList:
    """The blocks of a configuration."""
    rates = drop_path_rates(config.drop_path_rate, config.num_hidden_layers)
    return nn.ModuleList([GMLPBlock(config, rate) for rate in rates])
