"""gMLP for images.

Liu et al., "Pay Attention to MLPs", arXiv 2105.08050, section 3: patches without positions, dense
spatial weights. The layout is the common one: the classifier reads the mean of the patches.
"""

from typing import Any, cast

from torch import Tensor, nn
from transformers.modeling_outputs import BaseModelOutputWithPooling
from transformers.utils.generic import can_return_tuple

from attnreplace.models.gmlp_block import GMLPPreTrainedModel, build_layers
from attnreplace.models.gmlp_config import GMLPVisionConfig
from attnreplace.models.image_classifier import ImageClassifier
from attnreplace.models.patches import PatchEmbedding
from attnreplace.models.stack import run_blocks


class GMLPVisionPreTrainedModel(GMLPPreTrainedModel):
    """gMLP models that read images."""

    config_class = GMLPVisionConfig
    main_input_name = "pixel_values"


class GMLPVisionModel(GMLPVisionPreTrainedModel):
    """The model without its classifier."""

    def __init__(self, config: GMLPVisionConfig) -> None:
        super().__init__(config)
        self.embeddings = PatchEmbedding(
            config.image_size, config.patch_size, config.num_channels, config.hidden_size
        )
        self.layers = build_layers(config)
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
            `last_hidden_state`, `(batch, patches, d)`, and `pooler_output`, its mean over the
            patches, `(batch, d)`.

        Raises:
            UserError: the images are not of the model's size.
        """
        x, states = run_blocks(self, self.embeddings(pixel_values), output_hidden_states)
        x = self.norm(x)
        return BaseModelOutputWithPooling(
            last_hidden_state=x, pooler_output=x.mean(1), hidden_states=states
        )


class GMLPForImageClassification(GMLPVisionPreTrainedModel, ImageClassifier):
    """A linear classifier on the mean of the patches."""

    def __init__(self, config: GMLPVisionConfig) -> None:
        super().__init__(config)
        self.gmlp = GMLPVisionModel(config)
        self.classifier = nn.Linear(config.hidden_size, cast(int, config.num_labels))
        self.post_init()
