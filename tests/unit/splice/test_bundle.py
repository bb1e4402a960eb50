"""Bundles: to the bit, and one clear line for every way of being damaged."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from attnreplace.digest import digest_file
from attnreplace.errors import UserError
from attnreplace.hosts import Site
from attnreplace.splice.bundle import (
    CONFIG,
    SCHEMA,
    WEIGHTS,
    BundleConfig,
    build_students,
    bundle_name,
    load_bundle,
    load_bundle_config,
    save_bundle,
)

MakeConfig = Callable[..., BundleConfig]
MakeBundle = Callable[..., Path]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_round_trip(make_config: MakeConfig, tmp_path: Path, dtype: torch.dtype) -> None:
    config = make_config("aslr")
    students = {site: s.to(dtype) for site, s in build_students(config, seed=1).items()}
    save_bundle(tmp_path / "b", config, students)
    loaded, again = load_bundle(tmp_path / "b")
    assert dataclasses.replace(loaded, weights_digest="") == config
    assert loaded == load_bundle_config(tmp_path / "b")
    assert again.keys() == students.keys()
    for site, student in students.items():
        assert not again[site].training
        state = again[site].state_dict()
        assert state.keys() == student.state_dict().keys()
        for name, tensor in student.state_dict().items():
            assert state[name].dtype == dtype
            assert torch.equal(state[name], tensor)


def test_files(make_bundle: MakeBundle) -> None:
    """What other programs read: the configuration as JSON, tensors by site and parameter."""
    path = make_bundle("alr", (0,))
    config = json.loads((path / CONFIG).read_text())
    assert config["schema"] == SCHEMA
    assert config["sites"] == ["encoder.self.0"]
    assert config["training"] == {"relative_mse": {"encoder.self.0": 0.5}}
    assert load_file(path / WEIGHTS)["encoder.self.0.weight_in"].shape == (1, 6, 48)
    assert sorted(file.name for file in path.iterdir()) == [CONFIG, WEIGHTS]


def test_saving_again_replaces_the_bundle_and_nothing_else(
    make_config: MakeConfig, make_bundle: MakeBundle
) -> None:
    path = make_bundle("alr", (0,))
    (path / "history.json").write_text("[]")
    config = make_config("elr", (1,))
    save_bundle(path, config, build_students(config, seed=5))
    loaded, students = load_bundle(path)
    assert loaded.method == "elr"
    assert list(students) == [Site("encoder", "self", 1)]
    assert (path / "history.json").exists()


def test_an_interrupted_save_leaves_no_bundle(
    make_config: MakeConfig, make_bundle: MakeBundle
) -> None:
    """Not even the old configuration beside the new weights."""
    path = make_bundle("alr", (0,))
    config = dataclasses.replace(make_config("alr", (0,)), training={"not": object()})
    with pytest.raises(TypeError):
        save_bundle(path, config, build_students(config, seed=5))
    with pytest.raises(UserError, match="no bundle in"):
        load_bundle(path)


def test_students_must_be_those_of_the_configuration(
    make_config: MakeConfig, tmp_path: Path
) -> None:
    students = build_students(make_config("alr", (0,)), seed=0)
    with pytest.raises(ValueError, match=r"encoder\.self\.1"):
        save_bundle(tmp_path, make_config("alr", (0, 1)), students)


def test_drawn_by_seed_and_site_alone(make_config: MakeConfig) -> None:
    both, second = make_config("alr", (0, 1)), make_config("alr", (1,))
    state = torch.get_rng_state()
    first, same = build_students(both, seed=3), build_students(second, seed=3)
    other = build_students(both, seed=4)
    assert torch.equal(torch.get_rng_state(), state)
    zero, one = Site("encoder", "self", 0), Site("encoder", "self", 1)
    assert torch.equal(first[one].weight_in, same[one].weight_in)
    assert not torch.equal(first[zero].weight_in, first[one].weight_in)
    assert not torch.equal(first[one].weight_in, other[one].weight_in)


def test_no_bundle(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no bundle in .*; run `attnreplace distill`"):
        load_bundle(tmp_path / "none")


@pytest.mark.parametrize("damage", ["missing", "truncated", "one bit"])
def test_damaged_weights(make_bundle: MakeBundle, damage: str) -> None:
    path = make_bundle() / WEIGHTS
    data = bytearray(path.read_bytes())
    path.unlink()
    if damage == "truncated":
        path.write_bytes(data[:-10])
    if damage == "one bit":
        data[-1] ^= 1
        path.write_bytes(data)
    with pytest.raises(UserError, match=r"is not the file .* distill the students again"):
        load_bundle(path.parent)


def edit(path: Path, **changes: object) -> None:
    """Change entries of a bundle's configuration."""
    value = json.loads((path / CONFIG).read_text()) | changes
    (path / CONFIG).write_text(json.dumps(value))


def test_other_schema(make_bundle: MakeBundle) -> None:
    path = make_bundle()
    edit(path, schema="attnreplace.bundle/9")
    with pytest.raises(UserError, match=r"schema 'attnreplace\.bundle/9', this program reads"):
        load_bundle(path)


@pytest.mark.parametrize("text", ["[]", "null", "{}", '{"schema": "attnreplace.bundle/1"}', "{"])
def test_not_a_configuration(make_bundle: MakeBundle, text: str) -> None:
    path = make_bundle()
    (path / CONFIG).write_text(text)
    with pytest.raises(UserError) as error:
        load_bundle(path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("change", ["shape", "name"])
def test_weights_of_another_shape(make_bundle: MakeBundle, change: str) -> None:
    """A pair of files that belong together and still do not fit."""
    path = make_bundle()
    tensors = load_file(path / WEIGHTS)
    tensor = tensors.pop("encoder.self.1.bias_in")
    name = "encoder.self.1.bias" if change == "name" else "encoder.self.1.bias_in"
    tensors[name] = tensor if change == "name" else tensor[:, 1:].contiguous()
    save_file(tensors, path / WEIGHTS)
    edit(path, weights_digest=digest_file(path / WEIGHTS))
    with pytest.raises(UserError, match=r"does not fit its config.json at encoder\.self\.1") as e:
        load_bundle(path)
    assert "\n" not in str(e.value)


def test_names() -> None:
    assert bundle_name("alr", "m", "encoder") == "alr-m"
    assert bundle_name("alr", "m", "decoder") == "alr-m-decoder"
    assert bundle_name("aslr", "xs", "cross") == "aslr-xs-cross"
    assert bundle_name("alr", "m", "cross", cross_form="paper") == "alr-m-cross-paper"
    assert bundle_name("alr", "m", "decoder", cross_form="paper") == "alr-m-decoder"
    assert bundle_name("alr", "m", "decoder", hidden_layers=2) == "alr-m-h2-decoder"
    layers = bundle_name("alr", "m", "cross", cross_form="paper", layers=[5, 0, 2, 3, 4])
    assert layers == "alr-m-cross-paper-layers0.2-5"
    assert bundle_name("alr", "m", "decoder", family="sgu") == "alr-m-sgu-decoder"
    assert bundle_name("alr", "m", "encoder", family="sgu", spatial="dense") == "alr-m-sgu-dense"
    deep = bundle_name("elr", "s", "encoder", family="amlp", hidden_layers=2, layers=[1])
    assert deep == "elr-s-amlp-h2-layers1"


def test_some_layers(make_bundle: MakeBundle) -> None:
    path = make_bundle("alr", (0, 1), "cross")
    config, students = load_bundle(path, "1")
    assert config.sites == ["decoder.cross.1"]
    assert list(students) == [Site("decoder", "cross", 1)]
    both, all_students = load_bundle(path)
    assert config == dataclasses.replace(
        both, students={"decoder.cross.1": both.students["decoder.cross.1"]}
    )
    for name, tensor in all_students[Site("decoder", "cross", 1)].state_dict().items():
        assert torch.equal(students[Site("decoder", "cross", 1)].state_dict()[name], tensor)
    assert load_bundle(path, "0-1")[0] == both


def test_layers_that_are_not_there(make_config: MakeConfig) -> None:
    config = make_config("alr", (1,))
    with pytest.raises(UserError, match="bundle 'alr-m' has no layer 0; choose from 1"):
        config.select("0-1")
    with pytest.raises(UserError, match="no layer 2"):
        config.select("2")


def test_bundles_of_before_there_were_forms(make_bundle: MakeBundle) -> None:
    path = make_bundle("alr", (0,))
    config = json.loads((path / CONFIG).read_text())
    for student in config["students"].values():
        del student["form"], student["hidden_layers"]
    (path / CONFIG).write_text(json.dumps(config))
    loaded, _ = load_bundle(path)
    student = loaded.students["encoder.self.0"]
    assert (student.form, student.hidden_layers) == ("sentence", 1)
