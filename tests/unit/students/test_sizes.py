"""Sizes and parameter counts of the specification, from modules built without memory."""

from fractions import Fraction

import pytest
import torch
from transformers import M2M100Config, M2M100ForConditionalGeneration, PreTrainedModel

from attnreplace.errors import UserError
from attnreplace.hosts import Site, host_for
from attnreplace.methods import METHODS
from attnreplace.students import (
    FORMS,
    SIZES,
    StudentConfig,
    build_student,
    hidden_width,
    input_width,
    student_config,
)

N, D, HEADS = 50, 128, 8

WHOLE = {
    "xs": (25, 339_275),
    "s": (50, 659_350),
    "m": (800, 10_261_600),
    "l": (3200, 40_988_800),
    "xl": (12800, 163_897_600),
}
PER_HEAD = {
    "xs": (200, 1_454_200),
    "s": (400, 2_894_800),
    "m": (800, 5_776_000),
    "l": (1600, 11_538_400),
    "xl": (1600, 11_538_400),
}


DECODER = {
    "xs": (25, 176_203),
    "s": (50, 339_478),
    "m": (800, 5_237_728),
    "l": (3200, 20_912_128),
    "xl": (12800, 83_609_728),
}
PAPER = {
    "xs": (50, 992_150),
    "s": (100, 1_952_300),
    "m": (1600, 30_756_800),
    "l": (6400, 122_931_200),
    "xl": (25600, 491_628_800),
}


def tiny_model() -> PreTrainedModel:
    """Two layers of four heads over 16 values, without memory."""
    config = M2M100Config(
        vocab_size=10,
        d_model=16,
        encoder_layers=2,
        decoder_layers=2,
        encoder_attention_heads=4,
        decoder_attention_heads=4,
    )
    with torch.device("meta"):
        return M2M100ForConditionalGeneration(config)


def built(config: StudentConfig) -> int:
    """Parameters of the module itself."""
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in build_student(config).parameters())


@pytest.mark.parametrize("size", SIZES)
def test_one_network(size: str) -> None:
    hidden, parameters = WHOLE[size]
    assert hidden_width(size, N * D) == hidden
    config = StudentConfig("shallow_ff", D, D, N, hidden)
    assert config.num_parameters() == built(config) == parameters


@pytest.mark.parametrize("size", SIZES)
def test_one_network_a_head(size: str) -> None:
    hidden, parameters = PER_HEAD[size]
    assert hidden_width(size, N * D, per_head=True) == hidden
    config = StudentConfig("shallow_ff", D, D, N, hidden, groups=HEADS)
    assert config.num_parameters() == built(config) == HEADS * parameters


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("form", "counts"), [("prefix", DECODER), ("paper", PAPER)])
def test_decoder(size: str, form: str, counts: dict[str, tuple[int, int]]) -> None:
    hidden, parameters = counts[size]
    assert hidden_width(size, input_width(form, N, D)) == hidden
    config = StudentConfig("shallow_ff", D, D, N, hidden, form=form)
    assert config.num_parameters() == built(config) == parameters


@pytest.mark.parametrize("size", SIZES)
def test_cross_attention_per_query(size: str) -> None:
    """51 tokens of 128 values in, one out: norms, two linear layers and their biases."""
    hidden = hidden_width(size, input_width("per-query", N, D))
    assert hidden == {"xs": 25, "s": 51, "m": 816, "l": 3264, "xl": 13056}[size]
    config = StudentConfig("shallow_ff", D, D, N, hidden, form="per-query")
    parameters = 2 * 6528 + 6529 * hidden + 2 * hidden + (hidden + 1) * 128
    assert config.num_parameters() == built(config) == parameters


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("groups", [1, HEADS])
def test_depth(form: str, groups: int) -> None:
    """Every further hidden layer is a linear layer and a norm, in every group."""
    counts = []
    for hidden_layers in (1, 2, 3):
        config = StudentConfig("shallow_ff", D, D, N, 100, groups, form, hidden_layers)
        assert config.num_parameters() == built(config)
        counts.append(config.num_parameters())
    assert counts[2] - counts[1] == counts[1] - counts[0] == groups * (100 * 100 + 3 * 100)


@pytest.mark.parametrize(
    ("site", "cross_form", "form", "width"),
    [
        (Site("encoder", "self", 0), "paper", "sentence", 160),
        (Site("decoder", "self", 1), "paper", "prefix", 160),
        (Site("decoder", "cross", 1), "paper", "paper", 320),
        (Site("decoder", "cross", 0), "per-query", "per-query", 176),
    ],
    ids=str,
)
def test_form_and_width_of_a_site(site: Site, cross_form: str, form: str, width: int) -> None:
    model = tiny_model()
    location = host_for(model).locate(model, site)
    for method, groups, share in (("alr", 1, 8), ("aslr", 4, 8), ("alrr", 1, 8)):
        config = student_config(
            METHODS[method], "m", location, 10, cross_form=cross_form, hidden_layers=2
        )
        hidden = width // share
        assert config == StudentConfig("shallow_ff", 16, 16, 10, hidden, groups, form, 2)


def test_only_forms_that_read_a_memory_suit_cross_attention() -> None:
    model = tiny_model()
    location = host_for(model).locate(model, Site("decoder", "cross", 0))
    with pytest.raises(UserError, match=r"'prefix' .* valid forms: per-query, paper"):
        student_config(METHODS["alr"], "m", location, 10, cross_form="prefix")


def test_width_is_whole_and_at_least_one() -> None:
    assert hidden_width("xs", 12 * 16) == 1
    assert hidden_width("m", 100) == 12
    assert all(isinstance(share, Fraction) for shares in SIZES.values() for share in shares)


def test_unknown_size_lists_the_valid_ones() -> None:
    with pytest.raises(UserError, match=r"'xxl'; valid sizes: xs, s, m, l, xl"):
        hidden_width("xxl", 100)
