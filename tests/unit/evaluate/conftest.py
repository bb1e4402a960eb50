"""A tokenizer and small random models, real ones."""

from typing import Any

import pytest
import torch
from transformers import PreTrainedModel

from attnreplace.data.tokenizer import train_tokenizer
from attnreplace.teacher.build import TeacherConfig, build_teacher

SENTENCES = [
    "Ein Hund läuft über die Wiese.",
    "Zwei Männer stehen am Herd.",
    "",
    "Ja.",
    "Eine Frau mit Hut liest am Fluss eine Zeitung.",
    "Die Kinder spielen.",
    "Ein Kind.",
]


@pytest.fixture(scope="session")
def sentences() -> list[str]:
    """German sentences of many lengths, one empty."""
    return list(SENTENCES)


@pytest.fixture(scope="session")
def tokenizer() -> Any:
    """A byte-level BPE with few merges."""
    return train_tokenizer(SENTENCES, 340)


def tiny(norm: str, tokenizer: Any, seed: int) -> PreTrainedModel:
    """A random model whose answers differ from sentence to sentence."""
    torch.manual_seed(seed)
    config = TeacherConfig(
        norm=norm, d_model=16, encoder_layers=2, decoder_layers=2, num_heads=4, d_ff=32,
        max_length=16,
    )  # fmt: skip
    model = build_teacher(config, tokenizer).eval()
    with torch.no_grad():
        for layer in model.get_decoder().layers:
            layer.encoder_attn.out_proj.weight.mul_(3)  # The source shows in the hypotheses.
    return model


@pytest.fixture(scope="session", params=["pre", "post"])
def model(request: pytest.FixtureRequest, tokenizer: Any) -> PreTrainedModel:
    """An M2M-100 and a Marian model."""
    return tiny(request.param, tokenizer, seed=0)


@pytest.fixture(scope="session")
def other(tokenizer: Any) -> PreTrainedModel:
    """A model with other weights."""
    return tiny("pre", tokenizer, seed=1)
