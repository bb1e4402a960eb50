"""The classifier on top of an image model."""

from typing import Any

from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.modeling_outputs import ImageClassifierOutput
from transformers.utils.generic import can_return_tuple


class ImageClassifier(PreTrainedModel):
    """A linear layer, `classifier`, on what the base model pools."""

    classifier: nn.Linear

    @can_return_tuple
    def forward(
        self,
        pixel_values: Tensor,
        labels: Tensor | None = None,
        output_hidden_states: bool | None = None,
        **kwargs: Any,
    ) -> ImageClassifierOutput:
        """Classify images.

        Args:
            pixel_values: `(batch, channels, height, width)`.
            labels: classes, `(batch,)`; with them there is a loss.
            output_hidden_states: also give the input and the output of every block.
            kwargs: passed on to the library's loss.

        Returns:
            `logits`, `(batch, labels)`, and the mean cross-entropy as `loss`.

        Raises:
            UserError: the images are not of the model's size.
        """
        outputs = self.base_model(pixel_values, output_hidden_states=output_hidden_states)
        logits = self.classifier(outputs.pooler_output)
        loss = None
        if labels is not None:
            loss = self.loss_function(labels, logits, self.config, **kwargs)
        return ImageClassifierOutput(loss=loss, logits=logits, hidden_states=outputs.hidden_states)
