"""A tiny teacher and a bundle for it."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from transformers import M2M100Config, M2M100ForConditionalGeneration, PreTrainedModel

from attnreplace.digest import model_digest
from attnreplace.hosts import Site, host_for
from attnreplace.methods import METHODS
from attnreplace.splice.bundle import BundleConfig, build_students, save_bundle
from attnreplace.students import student_config


@pytest.fixture
def teacher() -> PreTrainedModel:
    torch.manual_seed(0)
    config = M2M100Config(
        vocab_size=20,
        d_model=8,
        encoder_layers=2,
        decoder_layers=1,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=8,
        decoder_ffn_dim=8,
        max_position_embeddings=16,
        pad_token_id=1,
        bos_token_id=0,
        eos_token_id=2,
        decoder_start_token_id=0,
    )
    return M2M100ForConditionalGeneration(config).eval()


@pytest.fixture
def make_config(teacher: PreTrainedModel) -> Callable[..., BundleConfig]:
    """Configurations of bundles for the teacher, by method and encoder layers."""

    def make(method: str = "alr", layers: tuple[int, ...] = (0, 1)) -> BundleConfig:
        sites = [Site("encoder", "self", layer) for layer in layers]
        host = host_for(teacher)
        return BundleConfig(
            name=f"{method}-m",
            method=method,
            family="shallow_ff",
            size="m",
            positions=6,
            students={
                str(s): student_config(METHODS[method], "m", host.locate(teacher, s), 6)
                for s in sites
            },
            teacher_digest=model_digest(teacher),
            tokenizer_digest="t" * 64,
            training={"relative_mse": {str(site): 0.5 for site in sites}},
        )

    return make


@pytest.fixture
def make_bundle(make_config: Callable[..., BundleConfig], tmp_path: Path) -> Callable[..., Path]:
    """Bundles on disk, by method and encoder layers."""

    def make(method: str = "alr", layers: tuple[int, ...] = (0, 1)) -> Path:
        config = make_config(method, layers)
        path = tmp_path / "students" / "-".join([method, *map(str, layers)])
        save_bundle(path, config, build_students(config, seed=0))
        return path

    return make
