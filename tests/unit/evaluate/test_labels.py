"""What systems are called."""

from collections.abc import Callable

import pytest

from attnreplace.evaluate.labels import (
    removed_label,
    removed_name,
    student_label,
    student_variant,
)
from attnreplace.evaluate.specs import choose
from attnreplace.hosts import Site
from attnreplace.splice.bundle import BundleConfig

EVERY = {"encoder": 6, "decoder": 6, "cross": 6}


@pytest.fixture(scope="module")
def configs(bundle: Callable[..., BundleConfig]) -> dict[str, BundleConfig]:
    """Bundles of a model with six layers."""
    return {
        "e": bundle("encoder", "m", layers=6),
        "rr": bundle("encoder", "s", layers=6, method="alrr"),
        "d": bundle("decoder", "m", layers=6),
        "x": bundle("cross", "m", layers=6),
        "paper": bundle("cross", "m", layers=6, cross_form="paper"),
        "deep": bundle("decoder", "m", layers=6, hidden_layers=2),
        "gate": bundle("encoder", "m", layers=6, family="sgu"),
        "dense": bundle("encoder", "m", layers=6, family="sgu", spatial="dense"),
        "gate-d": bundle("decoder", "m", layers=6, family="sgu"),
        "gate-x": bundle("cross", "m", layers=6, family="sgu"),
        "amlp": bundle("encoder", "m", layers=6, family="amlp"),
        "amlp-x": bundle("cross", "m", layers=6, family="amlp"),
        "mlp-d": bundle("decoder", "s", layers=6, family="token_mlp"),
    }


@pytest.mark.parametrize(
    ("spec", "label", "variant"),
    [
        ("e", "ALR-M", ""),
        ("d", "ALR-M decoder", ""),
        ("x", "ALR-M cross", ""),
        ("paper", "ALR-M cross, paper's non-causal form", "non-causal"),
        ("deep", "ALR-M decoder, 2 hidden layers", "2 hidden layers"),
        ("e:0-2", "ALR-M, layers 0-2", "layers 0-2"),
        ("e+d+x", "ALR-M all", ""),
        ("e+d", "ALR-M encoder + decoder", ""),
        ("e+d+paper", "ALR-M all, paper's non-causal form", "non-causal"),
        ("e:1+d:1", "ALR-M encoder + decoder, layer 1", "layer 1"),
        ("rr+x", "ALRR-S + ALR-M cross", ""),
        ("e:0+rr:1-5", "ALR-M, layer 0 + ALRR-S, layers 1-5", ""),
        ("gate", "ALR-M SGU", ""),
        ("gate-d", "ALR-M SGU decoder", ""),
        ("mlp-d", "ALR-S token MLP decoder", ""),
        ("dense:0-1", "ALR-M SGU, dense, layers 0-1", "dense, layers 0-1"),
        ("amlp", "ALR-M aMLP, contains attention", "contains attention"),
        ("amlp-x", "ALR-M aMLP cross, contains attention", "contains attention"),
        ("gate+gate-d+gate-x", "ALR-M SGU all", ""),
        ("dense+gate-x", "ALR-M SGU encoder + cross, dense", "dense"),
        ("dense+gate-d", "ALR-M SGU, dense + ALR-M SGU decoder", ""),
        ("e+gate-d", "ALR-M + ALR-M SGU decoder", ""),
        ("d+amlp", "ALR-M aMLP, contains attention + ALR-M decoder", ""),
        ("e+deep", "ALR-M + ALR-M decoder, 2 hidden layers", ""),
    ],
)
def test_students(configs: dict[str, BundleConfig], spec: str, label: str, variant: str) -> None:
    parts = choose(spec, configs)
    assert student_label(parts, EVERY) == label
    assert student_variant(parts, EVERY) == variant


def sites(**layers: range) -> list[Site]:
    """Sites by group."""
    stacks = {"encoder": ("encoder", "self"), "decoder": ("decoder", "self")}
    return [
        Site(*stacks.get(group, ("decoder", "cross")), layer)
        for group, numbers in layers.items()
        for layer in numbers
    ]


@pytest.mark.parametrize(
    ("where", "name", "label"),
    [
        (sites(encoder=range(6)), "removed", "Attention removed"),
        (sites(decoder=range(6)), "removed-decoder", "Decoder self-attention removed"),
        (sites(cross=range(6)), "removed-cross", "Cross-attention removed"),
        (
            sites(encoder=range(6), decoder=range(6), cross=range(6)),
            "removed-all",
            "All attention removed",
        ),
        (
            sites(encoder=range(6), decoder=range(6)),
            "removed-encoder-decoder",
            "Self-attention removed",
        ),
        (
            sites(encoder=range(2)),
            "removed-encoder-layers0-1",
            "Attention removed, layers 0-1",
        ),
        (
            sites(encoder=range(6), cross=range(1)),
            "removed-encoder-cross-layers0",
            "Encoder self- and cross-attention removed, layers: encoder all; cross 0",
        ),
    ],
)
def test_attention_removed(where: list[Site], name: str, label: str) -> None:
    assert removed_name(where, EVERY) == name
    assert removed_label(where, EVERY) == label
