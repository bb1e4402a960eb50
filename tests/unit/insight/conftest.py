"""Tiny models of every host, weights drawn large so that attention matters."""

import pytest
import torch
from transformers import (
    BertConfig,
    BertForMaskedLM,
    DistilBertConfig,
    DistilBertForMaskedLM,
    M2M100Config,
    M2M100ForConditionalGeneration,
    MarianConfig,
    MarianMTModel,
    PreTrainedModel,
    ViTConfig,
    ViTForImageClassification,
)

WIDTH = 16
SEQ2SEQ = {
    "vocab_size": 40,
    "d_model": WIDTH,
    "encoder_layers": 2,
    "decoder_layers": 2,
    "encoder_attention_heads": 2,
    "decoder_attention_heads": 2,
    "encoder_ffn_dim": 32,
    "decoder_ffn_dim": 32,
    "max_position_embeddings": 12,
}
ENCODER = {"hidden_size": WIDTH, "num_hidden_layers": 2, "num_attention_heads": 2}


def make_model(kind: str) -> PreTrainedModel:
    """A tiny model of a kind, in eval mode."""
    torch.manual_seed(0)
    text = {"vocab_size": 40, "max_position_embeddings": 12}
    models = {
        "m2m_100": lambda: M2M100ForConditionalGeneration(M2M100Config(**SEQ2SEQ, pad_token_id=1)),
        "marian": lambda: MarianMTModel(
            MarianConfig(**SEQ2SEQ, pad_token_id=1, decoder_start_token_id=1)
        ),
        "bert": lambda: BertForMaskedLM(BertConfig(**ENCODER, **text, intermediate_size=32)),
        "distilbert": lambda: DistilBertForMaskedLM(
            DistilBertConfig(dim=WIDTH, n_layers=2, n_heads=2, hidden_dim=32, **text)
        ),
        "vit": lambda: ViTForImageClassification(
            ViTConfig(**ENCODER, intermediate_size=32, image_size=8, patch_size=4)
        ),
    }
    model = models[kind]()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 2:
                parameter.normal_(std=0.3)
    return model.eval()


@pytest.fixture(params=["m2m_100", "marian", "bert", "distilbert", "vit"])
def host_model(request: pytest.FixtureRequest) -> PreTrainedModel:
    return make_model(request.param)


@pytest.fixture
def tiny_m2m() -> PreTrainedModel:
    return make_model("m2m_100")
