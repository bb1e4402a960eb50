import dataclasses

import pytest
import torch
from transformers import AutoModelForImageClassification, AutoModelForMaskedLM

from attnreplace.errors import UserError
from attnreplace.models.presets import PRESETS, preset
from attnreplace.tasks import get_task
from attnreplace.teacher.encoders import (
    MODELS,
    EncoderConfig,
    default_patch,
    library_config,
    named_shape,
)

HEADS = {"image": AutoModelForImageClassification, "text": AutoModelForMaskedLM}


def parameters(reads, config):
    with torch.device("meta"):
        return sum(p.numel() for p in HEADS[reads].from_config(config).parameters())


@pytest.mark.parametrize(
    ("reads", "name"),
    [(reads, name) for reads in MODELS for name in MODELS[reads] if name in PRESETS],
)
def test_names_of_the_papers_are_their_shapes(reads, name):
    built = library_config(reads, EncoderConfig(**named_shape(reads, name, ())))
    wanted = preset(name, num_labels=built.num_labels)
    assert type(built) is type(wanted)
    assert built.to_dict() == wanted.to_dict()


@pytest.mark.parametrize("name", ["vit", "ff-only", "attention-only", "gmlp", "amlp"])
def test_small_ones_of_images_are_built(name):
    config = library_config("image", EncoderConfig(name), image_size=8, patch_size=2)
    assert 20_000 < parameters("image", config) < 400_000
    assert config.hidden_size == 64


@pytest.mark.parametrize("name", ["bert", "gmlp", "amlp"])
def test_small_ones_of_text_are_built(name):
    fields = {"d_model": 32, "layers": 2, "max_length": 20, "vocab_size": 300}
    config = library_config("text", EncoderConfig(name, **fields))
    assert (config.hidden_size, config.num_hidden_layers) == (32, 2)
    assert (config.max_position_embeddings, config.vocab_size) == (20, 300)
    assert 20_000 < parameters("text", config) < 100_000


def test_what_varies_in_gmlp_is_reached():
    fields = {"gate": "linear", "spatial": "dense", "attention_size": 8, "drop_path": 0.2}
    config = library_config("text", EncoderConfig("gmlp", **fields))
    assert (config.gate, config.spatial, config.attention_size) == ("linear", "dense", 8)
    assert config.drop_path_rate == 0.2
    assert library_config("text", EncoderConfig("amlp")).attention_size > 0


@pytest.mark.parametrize(
    ("reads", "name", "given", "message"),
    [
        ("image", "vit", ["gate"], "gate does not apply to vit; its fields: d_model"),
        ("image", "bert", [], "no model 'bert' that reads image; valid: vit, ff-only"),
        ("text", "gmlp", ["num_heads"], "num_heads does not apply to gmlp"),
    ],
)
def test_other_fields_are_refused(reads, name, given, message):
    with pytest.raises(UserError, match=message):
        named_shape(reads, name, given)


@pytest.mark.parametrize(
    ("name", "fields", "message"),
    [
        ("vit", {"d_model": 30}, "num_heads = 4 does not divide d_model = 30"),
        ("vit", {"image_size": 8, "patch_size": 3}, "patch_size = 3 does not divide"),
        ("gmlp", {"layers": 0}, "layers must be at least 1"),
        ("gmlp", {"drop_path": 1.0}, "drop_path must be in"),
        ("gmlp", {"attention_size": -1}, "attention_size must be at least 0"),
    ],
)
def test_impossible_shapes(name, fields, message):
    with pytest.raises(UserError, match=message):
        library_config("image", EncoderConfig(name, **fields))


def test_a_name_and_all_that_it_stands_for_are_the_same_teacher():
    task = get_task("image")
    short = task.complete(EncoderConfig("ff-only", layers=3))
    assert short == EncoderConfig(**{**named_shape("image", "ff-only", ()), "layers": 3})
    assert task.complete(short) == short
    assert dataclasses.asdict(short)["d_model"] == 64


def test_patches_follow_the_size():
    assert [default_patch(size) for size in (8, 28, 32, 64, 256)] == [2, 4, 4, 8, 16]
