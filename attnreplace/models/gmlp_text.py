"""gMLP and aMLP for text.

Liu et al., "Pay Attention to MLPs", arXiv 2105.08050, section 4: BERT's masked language modelling
without embeddings of positions, output layer tied to the embedding, without bias or transform.
"""

from typing import Any, cast

import torch
from torch import Tensor, nn
from transformers.modeling_outputs import (
    BaseModelOutputWithPooling,
    MaskedLMOutput,
    SequenceClassifierOutput,
)
from transformers.utils.generic import can_return_tuple

from attnreplace.models.gmlp_block import GMLPPreTrainedModel, build_layers
from attnreplace.models.gmlp_config import GMLPTextConfig
from attnreplace.models.stack import run_blocks


class GMLPTextPreTrainedModel(GMLPPreTrainedModel):
    """gMLP models that read text."""

    config_class = GMLPTextConfig
    main_input_name = "input_ids"


class GMLPTextModel(GMLPTextPreTrainedModel):
    """The model without a head."""

    def __init__(self, config: GMLPTextConfig) -> None:
        super().__init__(config)
        self.embeddings: nn.Module = nn.Embedding(config.vocab_size, config.hidden_size)
        self.layers = build_layers(config)
        self.norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.post_init()

    def get_input_embeddings(self) -> nn.Module:
        """The embedding of the words."""
        return self.embeddings

    def set_input_embeddings(self, value: nn.Module) -> None:
        """Replace the embedding of the words."""
        self.embeddings = value

    @can_return_tuple
    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        output_hidden_states: bool | None = None,
        **kwargs: Any,
    ) -> BaseModelOutputWithPooling:
        """Read text, padded on either side: positions count from the first real token.

        Args:
            input_ids: `(batch, seq)`.
            attention_mask: non-zero at real tokens, `(batch, seq)`; None for all.
            output_hidden_states: also give the input and the output of every block.
            kwargs: of no effect.

        Returns:
            `last_hidden_state`, `(batch, seq, d)`, of no account at padding, and `pooler_output`,
            that of each first real token, `(batch, d)`.

        Raises:
            SequenceTooLong: there are more tokens than positions.
        """
        if attention_mask is None:
            mask, first = None, None
        else:
            mask = attention_mask != 0
            first = mask.int().argmax(1, keepdim=True)
            input_ids, mask = _rotate(input_ids, first), _rotate(mask, first)
        x, states = run_blocks(self, self.embeddings(input_ids), output_hidden_states, mask)
        x = self.norm(x)
        pooled = x[:, 0]
        if first is not None:
            x = _rotate(x, -first)
            states = None if states is None else tuple(_rotate(state, -first) for state in states)
        return BaseModelOutputWithPooling(
            last_hidden_state=x, pooler_output=pooled, hidden_states=states
        )


class GMLPForMaskedLM(GMLPTextPreTrainedModel):
    """A layer over the vocabulary, tied to the embedding."""

    _tied_weights_keys = {"lm_head.weight": "gmlp.embeddings.weight"}  # noqa: RUF012

    def __init__(self, config: GMLPTextConfig) -> None:
        super().__init__(config)
        self.gmlp = GMLPTextModel(config)
        self.lm_head: nn.Module = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        self.post_init()

    def get_output_embeddings(self) -> nn.Module:
        """The layer over the vocabulary."""
        return self.lm_head

    def set_output_embeddings(self, value: nn.Module) -> None:
        """Replace the layer over the vocabulary."""
        self.lm_head = value

    @can_return_tuple
    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        labels: Tensor | None = None,
        output_hidden_states: bool | None = None,
        **kwargs: Any,
    ) -> MaskedLMOutput:
        """Predict masked words.

        Args:
            input_ids: `(batch, seq)`.
            attention_mask: non-zero at real tokens, `(batch, seq)`; None for all.
            labels: words, -100 where there is nothing to predict, `(batch, seq)`; with them there
                is a loss. Padding is left out of it whatever its labels.
            output_hidden_states: also give the input and the output of every block.
            kwargs: passed on to the library's loss.

        Returns:
            `logits`, `(batch, seq, vocabulary)`, and the mean cross-entropy as `loss`.

        Raises:
            SequenceTooLong: there are more tokens than positions.
        """
        outputs = self.gmlp(input_ids, attention_mask, output_hidden_states=output_hidden_states)
        logits = self.lm_head(outputs.last_hidden_state)
        loss = None
        if labels is not None:
            if attention_mask is not None:
                labels = labels.masked_fill(attention_mask == 0, -100)
            loss = self.loss_function(logits, labels, self.config.vocab_size, **kwargs)
        return MaskedLMOutput(loss=loss, logits=logits, hidden_states=outputs.hidden_states)


class GMLPForSequenceClassification(GMLPTextPreTrainedModel):
    """A linear classifier on the first token, for fine-tuning a masked language model."""

    def __init__(self, config: GMLPTextConfig) -> None:
        super().__init__(config)
        self.gmlp = GMLPTextModel(config)
        self.dropout = nn.Dropout(config.classifier_dropout)
        self.classifier = nn.Linear(config.hidden_size, cast(int, config.num_labels))
        self.post_init()

    @can_return_tuple
    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        labels: Tensor | None = None,
        output_hidden_states: bool | None = None,
        **kwargs: Any,
    ) -> SequenceClassifierOutput:
        """Classify sequences.

        Args:
            input_ids: `(batch, seq)`.
            attention_mask: non-zero at real tokens, `(batch, seq)`; None for all.
            labels: classes, `(batch,)`, or values where the configuration has a single label;
                with them there is a loss.
            output_hidden_states: also give the input and the output of every block.
            kwargs: passed on to the library's loss.

        Returns:
            `logits`, `(batch, labels)`, and the mean loss as `loss`.

        Raises:
            SequenceTooLong: there are more tokens than positions.
        """
        outputs = self.gmlp(input_ids, attention_mask, output_hidden_states=output_hidden_states)
        logits = self.classifier(self.dropout(outputs.pooler_output))
        loss = None
        if labels is not None:
            loss = self.loss_function(labels, logits, self.config, **kwargs)
        return SequenceClassifierOutput(
            loss=loss, logits=logits, hidden_states=outputs.hidden_states
        )


def _rotate(x: Tensor, shift: Tensor) -> Tensor:
    """Move each row of `(batch, seq, ...)` left by its shift, `(batch, 1)`, around the end.

    Leading padding becomes trailing padding, without the wait for the device that slicing costs.
    """
    seq = x.shape[1]
    column = (torch.arange(seq, device=x.device) + shift) % seq
    return x[torch.arange(len(x), device=x.device).unsqueeze(1), column]
