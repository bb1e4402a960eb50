import pytest
import torch
from transformers import AutoModelForImageClassification, AutoModelForMaskedLM

from attnreplace.errors import UserError
from attnreplace.models import PRESETS, GMLPTextConfig, preset

COUNTS = {
    "ff-only-tiny": 7_676_332,
    "ff-only-tiny-attention": 4_039_360,
    "ff-only-base": 61_943_020,
    "ff-only-large": 206_363_576,
    "gmlp-ti": 5_867_328,
    "gmlp-s": 19_422_656,
    "gmlp-b": 73_075_392,
    "amlp-ti": 7_359_168,
    "amlp-s": 22_400_576,
    "amlp-b": 79_025_472,
    "gmlp-base": 130_073_552,
    "gmlp-large": 365_274_528,
    "gmlp-xlarge": 940_582_768,
    "amlp-base": 108_791_516,
    "amlp-large": 315_627_960,
}
"""Embeddings tied, with final norm; they round to the specification's millions."""


def _count(config):
    text = isinstance(config, GMLPTextConfig)
    auto = AutoModelForMaskedLM if text else AutoModelForImageClassification
    with torch.device("meta"):
        return auto.from_config(config).num_parameters()


def test_every_preset_has_a_count():
    assert set(PRESETS) == set(COUNTS)


@pytest.mark.parametrize("name", COUNTS)
def test_parameters(name):
    assert _count(preset(name)) == COUNTS[name]


@pytest.mark.parametrize(
    ("layers", "millions"), [(18, 59.0), (36, 101.6), (72, 186.8), (144, 357.3)]
)
def test_parameters_of_table_4(layers, millions):
    config = preset("gmlp-base", num_hidden_layers=layers, max_position_embeddings=128)
    assert round(_count(config) / 1e6, 1) == millions


def test_positions():
    assert preset("ff-only-tiny").positions == 197
    assert preset("ff-only-large").positions == 50
    assert preset("gmlp-ti").positions == 196
    assert preset("amlp-base").positions == 512


def test_presets_are_not_shared():
    preset("gmlp-ti").hidden_size = 1
    assert preset("gmlp-ti").hidden_size == 128


def test_unknown_names_list_the_valid_ones():
    with pytest.raises(UserError, match=r"no model preset 'gmlp'; valid presets: ff-only-tiny, .*"):
        preset("gmlp")
