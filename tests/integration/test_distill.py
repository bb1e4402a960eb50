"""Distillation: side by side equals alone, resumed equals uninterrupted, students learn."""

import dataclasses
import shutil

import pytest
from safetensors.torch import load_file

from attnreplace.activations.extract import ExtractConfig, extract
from attnreplace.distill.config import DistillConfig
from attnreplace.distill.distill import distill
from attnreplace.errors import UserError
from attnreplace.methods import METHODS
from attnreplace.rundir import RunDir, read_json
from attnreplace.splice.bundle import build_students, load_bundle, load_bundle_config
from attnreplace.teacher.train import train

from .conftest import DATA, TEACHER, TRAINING, KillAfter, Killed

CONFIG = DistillConfig(
    methods=["alr", "aslr", "elr"],
    sizes=["xs", "s"],
    epochs=3,
    batch_tokens=400,
    checkpoint_minutes=0.0,
)


def weights(run, name):
    return load_file(run.students / name / "model.safetensors")


def same(one, other):
    return one.keys() == other.keys() and all((one[n] == other[n]).all() for n in one)


@pytest.fixture(scope="module")
def distilled(extracted, tmp_path_factory):
    run = RunDir(tmp_path_factory.mktemp("distill") / "run")
    shutil.copytree(extracted.path, run.path)
    names = distill(run, CONFIG)
    assert names == ["alr-xs", "alr-s", "aslr-xs", "aslr-s", "elr-xs", "elr-s"]
    return run


@pytest.mark.parametrize("name", ["alr-s", "aslr-xs", "elr-xs"])
def test_side_by_side_equals_alone(distilled, run_copy, name):
    method, size = name.split("-")
    distill(run_copy, dataclasses.replace(CONFIG, methods=[method], sizes=[size]))
    assert same(weights(run_copy, name), weights(distilled, name))


def test_several_passes_equal_one(distilled, run_copy):
    distill(run_copy, dataclasses.replace(CONFIG, methods=["alr"], max_students=1))
    for name in ("alr-xs", "alr-s"):
        assert same(weights(run_copy, name), weights(distilled, name))


@pytest.mark.parametrize("steps", [1, 7, 12])
def test_killed_and_resumed_equals_uninterrupted(distilled, run_copy, steps):
    config = dataclasses.replace(CONFIG, methods=["alr"], max_students=3)
    with pytest.raises(Killed):
        distill(run_copy, config, progress=KillAfter(steps, "distill"))
    assert run_copy.bundles() == []
    # The memory may be another when the work is taken up again.
    distill(run_copy, dataclasses.replace(config, max_students=None))
    for name in ("alr-xs", "alr-s"):
        assert same(weights(run_copy, name), weights(distilled, name))
    assert not list(run_copy.path.glob("distill.*"))


def test_some_of_the_interrupted_students_and_others(distilled, run_copy):
    with pytest.raises(Killed):
        config = dataclasses.replace(CONFIG, methods=["alr", "aslr"], sizes=["xs"])
        distill(run_copy, config, progress=KillAfter(7, "distill"))
    distill(run_copy, dataclasses.replace(CONFIG, methods=["aslr", "elr"], sizes=["xs"]))
    for name in ("aslr-xs", "elr-xs"):
        assert same(weights(run_copy, name), weights(distilled, name))


@pytest.mark.parametrize("recipe", ["paper", "modern"])
@pytest.mark.parametrize("method", METHODS)
def test_students_learn(run_copy, method, recipe):
    config = DistillConfig(
        methods=[method],
        sizes=["m"],
        recipe=recipe,
        epochs=4,
        batch_tokens=300,
        learning_rate=3e-3,
    )
    (name,) = distill(run_copy, config)
    history = read_json(run_copy.students / name / "history.json")
    for site in ("encoder.self.0", "encoder.self.1"):
        assert history[-1]["relative_mse"][site] < history[0]["relative_mse"][site]
        assert history[-1]["train_loss"][site] < 0.8 * history[0]["train_loss"][site]
    bundle, students = load_bundle(run_copy.students / name)
    best = min if recipe == "modern" else (lambda errors: errors[-1])
    for site in bundle.sites:
        errors = [row["relative_mse"][site] for row in history]
        assert bundle.training["relative_mse"][site] == best(errors)
    fresh = build_students(bundle, bundle.seed)
    assert all(not (students[site].weight_in == fresh[site].weight_in).all() for site in students)


def test_finished_is_kept_and_other_settings_are_refused(run_copy):
    config = DistillConfig(methods=["alrr"], sizes=["xs"], epochs=1)
    distill(run_copy, config)
    before = weights(run_copy, "alrr-xs")
    distill(run_copy, config)
    with pytest.raises(UserError, match="other settings or another teacher; add --overwrite"):
        distill(run_copy, dataclasses.replace(config, seed=1))
    assert same(weights(run_copy, "alrr-xs"), before)
    distill(run_copy, dataclasses.replace(config, seed=1), overwrite=True)
    assert not same(weights(run_copy, "alrr-xs"), before)


def test_a_store_of_another_teacher_is_refused(run_copy):
    other = dataclasses.replace(TRAINING, seed=1, epochs=1)
    train(run_copy, DATA, TEACHER, other, overwrite=True)
    with pytest.raises(UserError, match=r"teacher_digest.*--overwrite"):
        distill(run_copy, DistillConfig(methods=["alrr"], sizes=["xs"]))
    extract(run_copy, ExtractConfig(), overwrite=True)
    distill(run_copy, DistillConfig(methods=["alrr"], sizes=["xs"], epochs=1))
    assert load_bundle_config(run_copy.students / "alrr-xs").sites == [
        "encoder.self.0",
        "encoder.self.1",
    ]
