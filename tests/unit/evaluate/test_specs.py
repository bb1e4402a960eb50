"""Specifications of systems: what they name, and every mistake in them."""

import dataclasses
from collections.abc import Callable

import pytest

from attnreplace.errors import UserError
from attnreplace.evaluate.specs import canonical, choose, default_systems, without_seed
from attnreplace.splice.bundle import BundleConfig

Configs = dict[str, BundleConfig]


@pytest.fixture(scope="module")
def configs(bundle: Callable[..., BundleConfig]) -> Configs:
    """Bundles of a model with six layers."""
    return {
        "alr-m": bundle("encoder", "m", layers=6),
        "alrr-m": bundle("encoder", "m", layers=6, method="alrr"),
        "alr-s": bundle("encoder", "s", layers=6),
        "alr-m-decoder": bundle("decoder", "m", layers=6),
        "alr-m-cross": bundle("cross", "m", layers=6),
        "alr-m-cross-paper": bundle("cross", "m", layers=6, cross_form="paper"),
        "alr-m-h2-decoder": bundle("decoder", "m", layers=6, hidden_layers=2),
        "alr-s-decoder": bundle("decoder", "s", layers=6),
    }


@pytest.mark.parametrize(
    ("spec", "name"),
    [
        ("alr-m", "alr-m"),
        ("alr-m-cross+alr-m + alr-m-decoder", "alr-m+alr-m-decoder+alr-m-cross"),
        ("alr-m:4,0-2", "alr-m:0-2,4"),
        ("alr-m:0-5", "alr-m"),
        ("alrr-m:3-5+alr-m:0-2", "alr-m:0-2+alrr-m:3-5"),
    ],
)
def test_a_specification_has_one_name(configs: Configs, spec: str, name: str) -> None:
    parts = choose(spec, configs)
    assert canonical(parts) == name
    assert canonical(choose(name, configs)) == name


def test_layers_of_a_bundle(configs: Configs) -> None:
    (part,) = choose("alr-m-decoder:0,3-4", configs)
    assert part.config.sites == ["decoder.self.0", "decoder.self.3", "decoder.self.4"]
    assert (part.bundle, part.group, part.student.form, part.whole) == (
        "alr-m-decoder", "decoder", "prefix", False
    )  # fmt: skip


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("alr-l", "unknown bundle 'alr-l'; valid: alr-m, alrr-m, alr-s"),
        ("alr-m+", "unknown bundle ''"),
        ("alr-m+alr-s", "'alr-m' and 'alr-s' both replace encoder.self.0"),
        ("alr-m:0-3+alrr-m:3", "'alr-m:0-3' and 'alrr-m:3' both replace encoder.self.3"),
        ("alr-m+alr-m", "both replace encoder.self.0"),
        ("alr-m:6", "layer 6"),
        ("alr-m:", "names no layers"),
        ("alr-m:a", "0,2-5"),
    ],
)
def test_mistakes_are_one_line(configs: Configs, spec: str, message: str) -> None:
    with pytest.raises(UserError, match=message.replace("+", r"\+")) as error:
        choose(spec, configs)
    assert "\n" not in str(error.value)


def test_a_layer_that_is_not_in_the_bundle(configs: Configs) -> None:
    some = configs["alr-m"].select("0,2")
    with pytest.raises(UserError, match=r"layer 1"):
        choose("alr-m:1", {"alr-m": some})


def test_by_default_bundles_stand_alone_and_plain_ones_together(configs: Configs) -> None:
    assert default_systems(configs) == [
        *configs,
        "alr-m+alr-m-decoder+alr-m-cross",
        "alr-s+alr-s-decoder",
    ]
    assert default_systems(configs, ["cross"]) == ["alr-m-cross", "alr-m-cross-paper"]
    assert default_systems(configs, ["encoder", "decoder"])[-2:] == [
        "alr-m+alr-m-decoder",
        "alr-s+alr-s-decoder",
    ]
    assert default_systems({}) == []


def test_families_stand_together_with_their_own(bundle: Callable[..., BundleConfig]) -> None:
    sgu = {
        f"alr-m-sgu{end}": bundle(group, "m", layers=6, family="sgu")
        for end, group in (("", "encoder"), ("-decoder", "decoder"))
    }
    others = {
        "alr-m": bundle("encoder", "m", layers=6),
        "alr-m-sgu-dense": bundle("encoder", "m", layers=6, family="sgu", spatial="dense"),
    }
    assert default_systems(sgu | others) == [*sgu, *others, "alr-m-sgu+alr-m-sgu-decoder"]


def test_further_seeds_stand_together_as_well(configs: Configs) -> None:
    some = {name: configs[name] for name in ("alr-m", "alr-m-cross")}
    more = {
        f"{name}-seed{seed}": dataclasses.replace(config, seed=seed)
        for name, config in some.items()
        for seed in (1, 2)
    }
    assert default_systems(some | more)[6:] == [
        "alr-m+alr-m-cross",
        "alr-m-seed1+alr-m-cross-seed1",
        "alr-m-seed2+alr-m-cross-seed2",
    ]


def test_names_without_their_seed() -> None:
    name = "alr-m-seed12:0-2+alr-m-cross-seed12"
    assert without_seed(name, 12) == "alr-m:0-2+alr-m-cross"
    assert without_seed(name, 1) == without_seed(name, None) == name
    tuned = "tuned/alr-m-seed1+alr-m-cross-seed1-kl-ce-seed1"
    assert without_seed(tuned, 1) == "tuned/alr-m+alr-m-cross-kl-ce"
