"""A tiny teacher and a bundle for it."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from transformers import M2M100Config, M2M100ForConditionalGeneration, PreTrainedModel

from attnreplace.digest import model_digest
from attnreplace.hosts import Group, host_for
from attnreplace.methods import METHODS
from attnreplace.splice.bundle import BundleConfig, build_students, bundle_name, save_bundle
from attnreplace.students import student_config


@pytest.fixture
def teacher() -> PreTrainedModel:
    torch.manual_seed(0)
    config = M2M100Config(
        vocab_size=20,
        d_model=8,
        encoder_layers=2,
        decoder_layers=2,
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
    """Configurations of bundles for the teacher, by method, layers, group and form."""

    def make(
        method: str = "alr",
        layers: tuple[int, ...] = (0, 1),
        group: Group = "encoder",
        form: str = "per-query",
        positions: int = 6,
    ) -> BundleConfig:
        host = host_for(teacher)
        sites = [s for s in host.sites(teacher) if s.group == group and s.layer in layers]
        students = {
            str(site): student_config(
                METHODS[method], "m", host.locate(teacher, site), positions, cross_form=form
            )
            for site in sites
        }
        return BundleConfig(
            name=bundle_name(method, "m", group, cross_form=form),
            method=method,
            family="shallow_ff",
            size="m",
            positions=positions,
            students=students,
            teacher_digest=model_digest(teacher),
            tokenizer_digest="t" * 64,
            training={"relative_mse": {str(site): 0.5 for site in sites}},
        )

    return make


@pytest.fixture
def make_bundle(make_config: Callable[..., BundleConfig], tmp_path: Path) -> Callable[..., Path]:
    """Bundles on disk, by method, layers, group and form."""

    def make(
        method: str = "alr",
        layers: tuple[int, ...] = (0, 1),
        group: Group = "encoder",
        form: str = "per-query",
    ) -> Path:
        config = make_config(method, layers, group, form)
        path = tmp_path / "students" / "-".join([config.name, *map(str, layers)])
        save_bundle(path, config, build_students(config, seed=0))
        return path

    return make
