"""Most families have as many parameters as the shallow networks of a size; others their own."""

import dataclasses

import pytest
import torch
from transformers import M2M100Config, M2M100ForConditionalGeneration, PreTrainedModel

from attnreplace.errors import UserError
from attnreplace.hosts import Location, Site, host_for
from attnreplace.methods import METHODS
from attnreplace.students import (
    FAMILIES,
    NATURAL,
    SIZES,
    StudentConfig,
    build_student,
    student_config,
)
from attnreplace.students.sizes import HEADS, WIDEST

MIXERS = [family for family in FAMILIES if family != "shallow_ff"]
MATCHED = [family for family in MIXERS if family not in NATURAL]
SITES = {
    "sentence": Site("encoder", "self", 0),
    "prefix": Site("decoder", "self", 0),
    "per-query": Site("decoder", "cross", 0),
}
every_row = pytest.mark.parametrize(
    ("family", "form"), [(family, form) for family in MIXERS for form in FAMILIES[family]]
)
matched_row = pytest.mark.parametrize(
    ("family", "form"), [(family, form) for family in MATCHED for form in FAMILIES[family]]
)


def model(d_model: int, heads: int) -> PreTrainedModel:
    """One layer a stack, without memory."""
    config = M2M100Config(
        vocab_size=10,
        d_model=d_model,
        encoder_layers=1,
        decoder_layers=1,
        encoder_attention_heads=heads,
        decoder_attention_heads=heads,
    )
    with torch.device("meta"):
        return M2M100ForConditionalGeneration(config)


PAPER = model(128, 8)


def location(form: str, host: PreTrainedModel = PAPER) -> Location:
    return host_for(host).locate(host, SITES[form])


def built(config: StudentConfig) -> int:
    """Parameters of the module itself."""
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in build_student(config).parameters())


@every_row
@pytest.mark.parametrize("spatial", ["toeplitz", "dense"])
@pytest.mark.parametrize(("groups", "hidden_layers"), [(1, 1), (8, 1), (2, 3)])
def test_count(family: str, form: str, spatial: str, groups: int, hidden_layers: int) -> None:
    heads = 2 if family in HEADS else 1
    config = StudentConfig(family, 24, 16, 9, 11, groups, form, hidden_layers, spatial, heads=heads)
    assert config.num_parameters() == built(config)


@matched_row
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("method", "hidden_layers"), [("alr", 1), ("alr", 2), ("aslr", 1)])
def test_as_many_as_the_shallow_network(
    family: str, form: str, size: str, method: str, hidden_layers: int
) -> None:
    """The paper's N and d; beyond the widest, as wide as that and smaller."""
    shallow, config = (
        student_config(
            METHODS[method], size, location(form), 50, family=name, hidden_layers=hidden_layers
        )
        for name in ("shallow_ff", family)
    )
    assert config.num_parameters() == built(config)
    ratio = config.num_parameters() / shallow.num_parameters()
    if config.hidden == WIDEST * 128:
        assert size in ("l", "xl")
        assert ratio < 1
    else:
        one_more = dataclasses.replace(config, hidden=config.hidden + 1).num_parameters()
        step = one_more - config.num_parameters()
        assert abs(config.num_parameters() - shallow.num_parameters()) <= step / 2
        # Two blocks of a gate read the whole sentence, and a deep shallow network reads it once.
        assert abs(ratio - 1) < (0.05 if family == "gated" else 0.02 if size == "xs" else 0.005)


@matched_row
def test_only_the_largest_sizes_are_too_wide(family: str, form: str) -> None:
    """Never a gate, whose weights belong to positions as the shallow network's do."""
    widths = [
        student_config(METHODS["alr"], size, location(form), 50, family=family).hidden
        for size in ("xs", "s", "m", "l", "xl")
    ]
    assert widths[0] < widths[1] < widths[2] < widths[3] <= widths[4]
    assert (widths[4] == WIDEST * 128) == (family != "gated")


@pytest.mark.parametrize(
    ("family", "form", "size", "hidden", "parameters"),
    [
        ("token_mlp", "sentence", "s", 2485, 659_379),
        ("token_mlp", "prefix", "m", 20299, 5_237_733),
        ("sgu", "sentence", "m", 26446, 10_261_581),
        ("sgu", "prefix", "s", 874, 339_645),
        ("sgu", "per-query", "m", 14029, 5_446_772),
        ("sgu", "sentence", "xl", 65536, 25_428_501),
        ("amlp", "sentence", "xs", 821, 339_230),
        ("gated", "per-query", "m", 818, 5_448_520),
        ("gated", "prefix", "s", 51, 340_300),
        ("summaries", "per-query", "m", 16, 49_536),
        ("summaries", "prefix", "xl", 64, 148_608),
        ("pairwise", "per-query", "m", 64, 33_992),
        ("pairwise", "sentence", "xs", 16, 21_016),
        ("tiny", "prefix", "m", 16, 8_624),
        ("gaussian", "per-query", "l", 128, 66_305),
        ("synthesizer", "per-query", "m", 32, 34_352),
        ("random_synthesizer", "sentence", "m", 8, 23_168),
        ("linear_attention", "prefix", "l", 16, 49_792),
    ],
)
def test_golden(family: str, form: str, size: str, hidden: int, parameters: int) -> None:
    config = student_config(METHODS["alr"], size, location(form), 50, family=family)
    assert (config.hidden, config.num_parameters()) == (hidden, parameters)


@pytest.mark.parametrize("family", NATURAL)
@pytest.mark.parametrize("form", SITES)
@pytest.mark.parametrize("method", ["alr", "aslr", "alrr"])
def test_natural_sizes(family: str, form: str, method: str) -> None:
    """Up to M about no more than what is replaced: q, k, v, and the way out where it goes too."""
    counts = []
    for size in SIZES:
        config = student_config(METHODS[method], size, location(form), 50, family=family)
        assert config.num_parameters() == built(config)
        counts.append(config.num_parameters())
        assert config.residual == (method == "alrr")
        assert config.groups == (8 if method == "aslr" else 1)
        assert config.heads == (8 if family in HEADS and method != "aslr" else 1)
    assert counts == sorted(counts)
    assert method == "aslr" or len(set(counts)) == 5
    assert counts[2] <= (4 if method == "alrr" else 3) * 128 * 129


@every_row
def test_never_narrower_than_one(family: str, form: str) -> None:
    """A small model's shallow network has fewer parameters than a mixer has at least."""
    place = location(form, model(8, 2))
    config = student_config(METHODS["alr"], "xs", place, 12, family=family)
    assert config.hidden >= 1
    wider = student_config(METHODS["alr"], "xl", place, 12, family=family)
    assert wider.hidden > config.hidden
    build_student(config)


def test_a_dense_gate_leaves_less_to_the_channels() -> None:
    toeplitz, dense = (
        student_config(METHODS["alr"], "s", location("sentence"), 50, family="sgu", spatial=spatial)
        for spatial in ("toeplitz", "dense")
    )
    assert dense.hidden < toeplitz.hidden
    assert abs(dense.num_parameters() / toeplitz.num_parameters() - 1) < 0.01


def test_the_shallow_network_has_no_gate() -> None:
    """One student, one configuration: what has no part in it does not tell two apart."""
    config = student_config(METHODS["alr"], "s", location("sentence"), 50, spatial="dense")
    assert config == student_config(METHODS["alr"], "s", location("sentence"), 50)


def test_impossible_families() -> None:
    with pytest.raises(UserError, match=r"'per-query'; its forms: sentence, prefix$"):
        student_config(METHODS["alr"], "s", location("per-query"), 50, family="token_mlp")
    with pytest.raises(
        UserError, match=r"'gmlp'; valid families: shallow_ff, token_mlp, sgu, amlp"
    ):
        student_config(METHODS["alr"], "s", location("sentence"), 50, family="gmlp")
    with pytest.raises(UserError, match=r"'circulant'; valid ones: toeplitz, dense"):
        student_config(
            METHODS["alr"], "s", location("sentence"), 50, family="sgu", spatial="circulant"
        )
