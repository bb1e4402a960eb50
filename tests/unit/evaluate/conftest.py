"""A tokenizer, small random models, and students in them, real ones."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from transformers import PreTrainedModel

from attnreplace.data.tokenizer import train_tokenizer
from attnreplace.hosts import host_for
from attnreplace.methods import get_method
from attnreplace.splice.bundle import BundleConfig, build_students
from attnreplace.splice.splice import splice
from attnreplace.students import student_config
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


def bundle_of(
    group: str = "encoder",
    size: str = "xs",
    positions: int = 40,
    *,
    method: str = "alr",
    layers: int = 2,
    model: PreTrainedModel | None = None,
    **shape: Any,
) -> BundleConfig:
    """A bundle's configuration, for a model of `layers` layers."""
    if model is None:
        torch.manual_seed(0)
        small = TeacherConfig(
            d_model=16, encoder_layers=layers, decoder_layers=layers, num_heads=4, d_ff=32
        )
        model = build_teacher(small, train_tokenizer(SENTENCES, 340))
    host = host_for(model)
    sites = [site for site in host.sites(model) if site.group == group]
    students = {
        str(site): student_config(
            get_method(method), size, host.locate(model, site), positions, **shape
        )
        for site in sites
    }
    return BundleConfig(
        name=f"{method}-{size}-{group}",
        method=method,
        family=shape.get("family", "shallow_ff"),
        size=size,
        positions=positions,
        students=students,
        teacher_digest="",
        tokenizer_digest="",
    )


def splice_into(
    model: PreTrainedModel, group: str, positions: int = 40, **shape: Any
) -> PreTrainedModel:
    """A copy of a model with random students in place of one group of attention."""
    config = bundle_of(group, positions=positions, model=model, **shape)
    return splice(copy.deepcopy(model), config, build_students(config, seed=1))


@pytest.fixture(scope="session")
def bundle() -> Callable[..., BundleConfig]:
    """`bundle_of`: test modules cannot import it."""
    return bundle_of


@pytest.fixture(scope="session")
def spliced() -> Callable[..., PreTrainedModel]:
    """`splice_into`."""
    return splice_into
