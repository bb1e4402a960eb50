"""The FF-only image classifier: a vision transformer whose attention is a network over the tokens.

Melas-Kyriazi, "Do You Even Need Attention?", arXiv 2105.02723.
"""

from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import PreTrainedModel
from transformers import initialization as init
from transformers.modeling_outputs import BaseModelOutputWithPooling
from transformers.utils.generic import can_return_tuple

from attnreplace.models.drop_path import drop_path_rates
from attnreplace.models.ff_only_blocks import AttentionOnlyBlock, FFOnlyBlock
from attnreplace.models.ff_only_config import FFOnlyConfig
from attnreplace.models.image_classifier import ImageClassifier
from attnreplace.models.initialise import init_module
from attnreplace.models.patches import PatchEmbedding
from attnreplace.models.stack import run_blocks


class FFOnlyEmbeddings(nn.Module):
    """Class token and patches with learned positions, the class token's its own."""

    def __init__(self, config: FFOnlyConfig) -> None:
        super().__init__()
        width = config.hidden_size
        self.patches = PatchEmbedding(
            config.image_size, config.patch_size, config.num_channels, width
        )
        self.side = config.image_size // config.patch_size
        grid = config.position_grid or self.side
        self.class_token = nn.Parameter(torch.empty(1, 1, width))
        self.class_position = nn.Parameter(torch.empty(1, 1, width))
        self.positions = nn.Parameter(torch.empty(1, width, grid, grid))

    def forward(self, pixel_values: Tensor) -> Tensor:
        """Map `(batch, channels, height, width)` to `(batch, n, d)`, the class token first."""
        patches = self.patches(pixel_values)
        positions: Tensor = self.positions
        if positions.shape[-1] != self.side:
            size = (self.side, self.side)
            positions = F.interpolate(positions, size=size, mode="bilinear", align_corners=False)
        patches = patches + positions.flatten(2).transpose(1, 2)
        first = (self.class_token + self.class_position).expand(len(patches), -1, -1)
        return torch.cat([first, patches], dim=1)


class FFOnlyPreTrainedModel(PreTrainedModel):
    """Initialisation, saving and loading of FF-only models."""

    config_class = FFOnlyConfig
    base_model_prefix = "ff_only"
    main_input_name = "pixel_values"
    supports_gradient_checkpointing = True
    _no_split_modules = ["FFOnlyBlock", "AttentionOnlyBlock"]  # noqa: RUF012

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        std = self.config.initializer_range
        init_module(module, std)
        if isinstance(module, FFOnlyEmbeddings):
            for learned in (module.class_token, module.class_position, module.positions):
                init.trunc_normal_(learned, std=std, a=-2 * std, b=2 * std)


class FFOnlyModel(FFOnlyPreTrainedModel):
    """The model without its classifier."""

    def __init__(self, config: FFOnlyConfig) -> None:
        super().__init__(config)
        self.embeddings = FFOnlyEmbeddings(config)
        block = AttentionOnlyBlock if config.attention_only else FFOnlyBlock
        rates = drop_path_rates(config.drop_path_rate, config.num_hidden_layers)
        self.layers = nn.ModuleList([block(config, rate) for rate in rates])
        self.norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.post_init()

    @can_return_tuple
    def forward(
        self, pixel_values: Tensor, output_hidden_states: bool | None = None, **kwargs: Any
    ) -> BaseModelOutputWithPooling:
        """Read images.

        Args:
            pixel_values: `(batch, channels, height, width)`.
            output_hidden_states: also give the input and the output of every block.
            kwargs: of no effect.

        Returns:
            `last_hidden_state`, `(batch, n, d)`, and `pooler_output`, the class token of it,
            `(batch, d)`.

        Raises:
            UserError: the images are not of the model's size.
        """
        x, states = run_blocks(self, self.embeddings(pixel_values), output_hidden_states)
        x = self.norm(x)
        return BaseModelOutputWithPooling(
            last_hidden_state=x, pooler_output=x[:, 0], hidden_states=states
        )


class FFOnlyForImageClassification(FFOnlyPreTrainedModel, ImageClassifier):
    """A linear classifier on the class token."""

    def __init__(self, config: FFOnlyConfig) -> None:
        super().__init__(config)
        self.ff_only = FFOnlyModel(config)
        self.classifier = nn.Linear(config.hidden_size, cast(int, config.num_labels))
        self.post_init()
