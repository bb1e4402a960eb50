"""The built-in teacher: a `transformers` encoder-decoder built from a small config."""

import dataclasses
import math
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import nn
from transformers import (
    M2M100Config,
    M2M100ForConditionalGeneration,
    MarianConfig,
    MarianMTModel,
    PreTrainedModel,
)

from attnreplace.errors import UserError


@dataclass(frozen=True)
class TeacherConfig:
    """Shape of the teacher; the defaults are the paper's (arXiv 2311.10642)."""

    norm: str = "pre"
    """Where LayerNorm stands: "pre" (the M2M-100 classes) or "post" (the Marian classes)."""
    d_model: int = 128
    """Width of the residual stream."""
    encoder_layers: int = 6
    """Encoder layers."""
    decoder_layers: int = 6
    """Decoder layers."""
    num_heads: int = 8
    """Heads of every attention layer; divides `d_model`."""
    d_ff: int = 512
    """Hidden width of the feed-forward sub-layers."""
    dropout: float = 0.1
    """Dropout on sub-layer outputs and attention weights."""
    vocab_size: int = 8000
    """Pieces of the joint BPE, at most: a small corpus may yield fewer."""
    max_length: int = 50
    """Longest sentence in tokens, `</s>` included; students have as many positions."""

    def __post_init__(self) -> None:
        if self.norm not in ("pre", "post"):
            raise UserError(f"unknown norm {self.norm!r}; valid: pre, post")
        if self.num_heads < 1 or self.d_model % self.num_heads or self.d_model % 2:
            raise UserError(
                f"d_model must be even and divisible by num_heads; "
                f"got {self.d_model} and {self.num_heads}"
            )
        for name in ("encoder_layers", "decoder_layers", "d_ff", "vocab_size"):
            if getattr(self, name) < 1:
                raise UserError(f"{name} must be at least 1; got {getattr(self, name)}")
        if self.max_length < 2:
            raise UserError(f"max_length must be at least 2; got {self.max_length}")
        if not 0 <= self.dropout < 1:
            raise UserError(f"dropout must be in [0, 1); got {self.dropout}")

    def num_body_parameters(self) -> int:
        """Parameters without embeddings and output layer (which are tied)."""
        d, f = self.d_model, self.d_ff
        attention, norm = 4 * (d * d + d), 2 * d
        feed_forward = d * f + f + f * d + d
        encoder = self.encoder_layers * (attention + feed_forward + 2 * norm)
        decoder = self.decoder_layers * (2 * attention + feed_forward + 3 * norm)
        return encoder + decoder + (2 * norm if self.norm == "pre" else 0)


PRESETS: dict[str, dict[str, Any]] = {
    "tiny": {
        "d_model": 64,
        "encoder_layers": 2,
        "decoder_layers": 2,
        "num_heads": 4,
        "d_ff": 256,
        "dropout": 0.0,
        "vocab_size": 2000,
    },
    "paper": {},
    "base": {"d_model": 512, "d_ff": 2048, "vocab_size": 16000},
}


def teacher_config(preset: str, **overrides: Any) -> TeacherConfig:
    """A preset with some fields changed.

    Raises:
        UserError: unknown preset (lists the valid ones) or invalid value.
    """
    if preset not in PRESETS:
        raise UserError(f"unknown preset {preset!r}; valid: {', '.join(PRESETS)}")
    return dataclasses.replace(TeacherConfig(), **PRESETS[preset] | overrides)


def build_teacher(config: TeacherConfig, tokenizer: Any) -> PreTrainedModel:
    """A freshly initialised teacher for the tokenizer's vocabulary.

    Linear layers are Xavier-uniform with zero biases. Embeddings are multiplied by
    sqrt(d_model) on their way in and tied to the output layer, so they start with a standard
    deviation of d_model ** -0.5: larger, and the first epochs go into shrinking the logits.
    """
    shape = {
        "vocab_size": len(tokenizer),
        "d_model": config.d_model,
        "encoder_layers": config.encoder_layers,
        "decoder_layers": config.decoder_layers,
        "encoder_attention_heads": config.num_heads,
        "decoder_attention_heads": config.num_heads,
        "encoder_ffn_dim": config.d_ff,
        "decoder_ffn_dim": config.d_ff,
        "dropout": config.dropout,
        "attention_dropout": config.dropout,
        "activation_dropout": 0.0,
        "activation_function": "relu",
        "encoder_layerdrop": 0.0,
        "decoder_layerdrop": 0.0,
        "scale_embedding": True,
        "max_position_embeddings": 1024,
        "pad_token_id": tokenizer.pad_token_id,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "decoder_start_token_id": tokenizer.bos_token_id,
        "init_std": config.d_model**-0.5,
    }
    model: PreTrainedModel
    if config.norm == "pre":
        model = M2M100ForConditionalGeneration(M2M100Config(**shape))
    else:
        model = MarianMTModel(MarianConfig(**shape, forced_eos_token_id=None))
    with torch.no_grad():
        for module in model.modules():
            # The output layer shares the embedding's weight and keeps its initialisation.
            if isinstance(module, nn.Linear) and module is not model.get_output_embeddings():
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)
        embedding = cast(nn.Embedding, model.get_input_embeddings())
        nn.init.normal_(embedding.weight, std=1 / math.sqrt(config.d_model))
        embedding.weight[tokenizer.pad_token_id].zero_()
    model.generation_config.max_length = config.max_length
    return model
