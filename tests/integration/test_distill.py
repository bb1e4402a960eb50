"""Distillation: side by side equals alone, resumed equals uninterrupted, students learn."""

import dataclasses
import os
import shutil
import signal

import pytest
import torch
from safetensors.torch import load_file

from attnreplace.activations.extract import ExtractConfig, extract
from attnreplace.activations.store import ActivationStore
from attnreplace.distill.config import DistillConfig
from attnreplace.distill.distill import distill
from attnreplace.distill.shares import Share
from attnreplace.distill.trainee import Trainee
from attnreplace.errors import UserError
from attnreplace.hosts import Site
from attnreplace.methods import METHODS
from attnreplace.rundir import RunDir, read_json, write_json
from attnreplace.splice.bundle import build_students, load_bundle, load_bundle_config
from attnreplace.teacher.train import train

from .conftest import DATA, TEACHER, TRAINING, InterruptAfter, KillAfter, Killed

CONFIG = DistillConfig(
    methods=["alr", "aslr", "elr"],
    sizes=["xs", "s"],
    epochs=3,
    batch_tokens=400,
    checkpoint_minutes=0.0,
)


GROUPS = dataclasses.replace(
    CONFIG, methods=["alr", "aslr", "alrr"], sizes=["xs"], epochs=2, learning_rate=2e-3
)


def weights(run, name):
    return load_file(run.students / name / "model.safetensors")


def same(one, other):
    return one.keys() == other.keys() and all((one[n] == other[n]).all() for n in one)


@pytest.fixture(scope="module")
def everything(extracted, tmp_path_factory):
    """A run whose store holds all sites; not to be written to."""
    run = RunDir(tmp_path_factory.mktemp("all_sites") / "run")
    shutil.copytree(extracted.path, run.path)
    extract(run, ExtractConfig(sites=["all"]), overwrite=True)
    return run


@pytest.fixture
def all_copy(everything, tmp_path):
    """A run with activations of all sites of one's own."""
    shutil.copytree(everything.path, tmp_path / "all")
    return RunDir(tmp_path / "all")


@pytest.fixture(scope="module")
def all_groups(everything, tmp_path_factory):
    """Students of every group, trained together."""
    run = RunDir(tmp_path_factory.mktemp("all_groups") / "run")
    shutil.copytree(everything.path, run.path)
    names = distill(run, GROUPS)
    assert names == [
        f"{method}-xs{group}" for group in ("", "-decoder", "-cross") for method in GROUPS.methods
    ]
    return run


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


def test_students_of_several_threads_equal_those_of_one(distilled, run_copy):
    torch.set_num_threads(3)
    try:
        distill(run_copy, CONFIG)
    finally:
        torch.set_num_threads(1)
    for name in ("alr-xs", "alr-s", "aslr-xs", "aslr-s", "elr-xs", "elr-s"):
        assert same(weights(run_copy, name), weights(distilled, name))


def test_several_passes_equal_one(distilled, run_copy):
    distill(run_copy, dataclasses.replace(CONFIG, methods=["alr"], max_students=1))
    for name in ("alr-xs", "alr-s"):
        assert same(weights(run_copy, name), weights(distilled, name))


def test_an_encoder_learns_the_same_from_a_store_of_more(distilled, all_copy):
    distill(all_copy, dataclasses.replace(CONFIG, sites=["encoder"], sizes=["xs"]))
    for name in ("alr-xs", "aslr-xs", "elr-xs"):
        assert same(weights(all_copy, name), weights(distilled, name))
        histories = [
            read_json(run.students / name / "history.json") for run in (all_copy, distilled)
        ]
        assert histories[0] == histories[1]


def test_a_store_of_other_sites_makes_no_other_students(distilled, run_copy):
    """A finished bundle is kept when the store is written anew with more in it."""
    distill(run_copy, dataclasses.replace(CONFIG, methods=["alr"], sizes=["xs"]))
    written = (run_copy.students / "alr-xs" / "config.json").stat().st_mtime_ns
    extract(run_copy, ExtractConfig(sites=["encoder", "cross"]), overwrite=True)
    names = distill(run_copy, dataclasses.replace(CONFIG, methods=["alr"], sizes=["xs"]))
    assert names == ["alr-xs", "alr-xs-cross"]
    assert (run_copy.students / "alr-xs" / "config.json").stat().st_mtime_ns == written


@pytest.mark.parametrize("group", ["encoder", "decoder", "cross"])
def test_all_groups_together_equal_each_alone(all_groups, all_copy, group):
    names = distill(all_copy, dataclasses.replace(GROUPS, sites=[group]))
    assert len(names) == 3 and all_copy.bundles() == sorted(names)
    for name in names:
        assert same(weights(all_copy, name), weights(all_groups, name))


def test_several_passes_over_all_groups_equal_one(all_groups, all_copy):
    names = distill(all_copy, dataclasses.replace(GROUPS, methods=["alr"], max_students=3))
    for name in names:
        assert same(weights(all_copy, name), weights(all_groups, name))


@pytest.mark.parametrize("steps", [2, 5])
def test_all_groups_killed_and_resumed_equal_uninterrupted(all_groups, all_copy, steps):
    with pytest.raises(Killed):
        distill(all_copy, GROUPS, progress=KillAfter(steps, "distill"))
    assert all_copy.bundles() == []
    for name in distill(all_copy, GROUPS):
        assert same(weights(all_copy, name), weights(all_groups, name))
    assert not list(all_copy.path.glob("distill.*"))


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


@pytest.mark.parametrize("steps", [1, 7])
def test_what_was_done_until_ctrl_c_is_kept(distilled, run_copy, notes, steps):
    config = dataclasses.replace(CONFIG, methods=["alr"], checkpoint_minutes=10.0)
    with pytest.raises(KeyboardInterrupt):
        distill(run_copy, config, progress=InterruptAfter(steps, "distill"))
    distill(run_copy, config, progress=notes)
    assert any(said.endswith(f"update {steps}") for said in notes.said)
    for name in ("alr-xs", "alr-s"):
        assert same(weights(run_copy, name), weights(distilled, name))


def test_ctrl_c_while_validating_keeps_the_epoch(distilled, run_copy, notes, monkeypatch):
    config = dataclasses.replace(CONFIG, methods=["alr"], checkpoint_minutes=10.0)
    error = Trainee.error

    def interrupted(*arguments):
        monkeypatch.setattr(Trainee, "error", error)
        os.kill(os.getpid(), signal.SIGINT)
        return error(*arguments)

    monkeypatch.setattr(Trainee, "error", interrupted)
    with pytest.raises(KeyboardInterrupt):
        distill(run_copy, config)
    distill(run_copy, config, progress=notes)
    assert any("going on from epoch 1, update" in said for said in notes.said)
    for name in ("alr-xs", "alr-s"):
        assert same(weights(run_copy, name), weights(distilled, name))


def test_some_of_the_interrupted_students_and_others(distilled, run_copy):
    with pytest.raises(Killed):
        config = dataclasses.replace(CONFIG, methods=["alr", "aslr"], sizes=["xs"])
        distill(run_copy, config, progress=KillAfter(7, "distill"))
    others = dataclasses.replace(CONFIG, methods=["aslr", "elr"], sizes=["xs"])
    distill(run_copy, others, overwrite=True)
    for name in ("aslr-xs", "elr-xs"):
        assert same(weights(run_copy, name), weights(distilled, name))


LEARNERS = [
    *((method, "encoder", "per-query") for method in METHODS),
    *((method, group, "per-query") for method in ("alr", "alrr") for group in ("decoder", "cross")),
    ("alr", "cross", "paper"),
]


@pytest.mark.parametrize("recipe", ["paper", "modern"])
@pytest.mark.parametrize(("method", "group", "form"), LEARNERS)
def test_students_learn(all_copy, method, group, form, recipe):
    config = DistillConfig(
        methods=[method],
        sizes=["m"],
        sites=[group],
        cross_form=form,
        recipe=recipe,
        epochs=4,
        batch_tokens=300,
        learning_rate=3e-3,
    )
    (name,) = distill(all_copy, config)
    history = read_json(all_copy.students / name / "history.json")
    bundle, students = load_bundle(all_copy.students / name)
    assert {Site.parse(site).group for site in bundle.sites} == {group}
    best = min if recipe == "modern" else (lambda errors: errors[-1])
    fresh = build_students(bundle, bundle.seed)
    for site in bundle.sites:
        errors = [row["relative_mse"][site] for row in history]
        losses = [row["train_loss"][site] for row in history]
        assert errors[-1] < errors[0] and losses[-1] < 0.8 * losses[0]
        assert bundle.training["relative_mse"][site] == best(errors)
    for site, student in students.items():
        before = fresh[site].state_dict()
        assert all((before[n] != value).any() for n, value in student.state_dict().items())


def test_finished_is_kept_and_other_settings_are_refused(run_copy):
    config = DistillConfig(methods=["alrr"], sizes=["xs"], epochs=1)
    distill(run_copy, config)
    before = weights(run_copy, "alrr-xs")
    distill(run_copy, config)
    with pytest.raises(UserError, match=r"teacher \(seed 0 there, 1 wanted\); add --overwrite"):
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


def test_what_a_student_is_built_of_is_in_its_name_and_configuration(all_copy):
    config = dataclasses.replace(
        GROUPS, methods=["alr"], epochs=1, hidden_layers=2, positions=45, cross_form="paper"
    )
    assert distill(all_copy, config) == ["alr-xs-h2", "alr-xs-h2-decoder", "alr-xs-h2-cross-paper"]
    forms = {"alr-xs-h2": "sentence", "alr-xs-h2-decoder": "prefix"}
    for name in all_copy.bundles():
        bundle = load_bundle_config(all_copy.students / name)
        assert bundle.positions == 45
        for student in bundle.students.values():
            assert (student.hidden_layers, student.positions) == (2, 45)
            assert student.form == forms.get(name, "paper")


def test_some_layers(distilled, run_copy):
    config = dataclasses.replace(CONFIG, methods=["alr"], sizes=["xs"], layers="1")
    assert distill(run_copy, config) == ["alr-xs-layers1"]
    found = weights(run_copy, "alr-xs-layers1")
    whole = weights(distilled, "alr-xs")
    assert same(found, {n: value for n, value in whole.items() if n.startswith("encoder.self.1.")})
    with pytest.raises(UserError, match="no layer 2; choose from 0 to 1"):
        distill(run_copy, dataclasses.replace(config, layers="1,2"))


def test_sites_that_the_store_lacks_name_the_command(run_copy):
    for sites, wanted in (
        (
            ["decoder"],
            "no activations of decoder; run `attnreplace extract --sites encoder,decoder",
        ),
        (["all"], "no activations of decoder, cross; run `attnreplace extract --sites all"),
    ):
        with pytest.raises(UserError, match=f"{wanted} --overwrite`"):
            distill(run_copy, dataclasses.replace(CONFIG, sites=sites))
    extract(run_copy, ExtractConfig(sites=["encoder"], layers="0"), overwrite=True)
    with pytest.raises(
        UserError, match=r"of encoder.self.1; run .* --sites encoder.self.0,encoder.self.1 "
    ):
        distill(run_copy, dataclasses.replace(CONFIG, layers="0,1"))
    one = dataclasses.replace(CONFIG, methods=["alr"], sizes=["xs"], epochs=1)
    assert distill(run_copy, one) == ["alr-xs-layers0"]


def test_a_method_is_left_out_where_it_does_not_work(all_copy, notes):
    config = dataclasses.replace(CONFIG, methods=["elr", "alrr"], sizes=["xs"], epochs=1)
    names = distill(all_copy, config, progress=notes)
    assert names == ["elr-xs", "alrr-xs", "alrr-xs-decoder", "alrr-xs-cross"]
    left_out = [line for line in notes.said if "left out" in line]
    assert left_out == [
        f"elr does not replace {group} attention: left out there" for group in ("decoder", "cross")
    ]
    config = dataclasses.replace(config, methods=["elr"], sites=["cross"])
    with pytest.raises(
        UserError, match=r"elr does not replace cross attention; .* --sites encoder"
    ):
        distill(all_copy, config)


def test_families_beside_one_another(all_copy, notes):
    config = dataclasses.replace(
        CONFIG, methods=["alr"], sizes=["xs"], sites=["encoder", "cross"], layers="0", epochs=1
    )
    assert distill(all_copy, config) == ["alr-xs-layers0", "alr-xs-cross"]
    written = (all_copy.students / "alr-xs-layers0" / "config.json").stat().st_mtime_ns
    more = ["shallow_ff", "token_mlp", "sgu"]
    more = dataclasses.replace(config, families=more, spatial="dense")
    names = distill(all_copy, more, progress=notes)
    assert names == [
        "alr-xs-layers0", "alr-xs-token_mlp-layers0", "alr-xs-sgu-dense-layers0",
        "alr-xs-cross", "alr-xs-sgu-cross",
    ]  # fmt: skip
    left_out = [line for line in notes.said if "left out" in line]
    assert left_out == ["token_mlp does not replace cross attention: left out there"]
    # Students of other families and of other weights beside them are nothing to a bundle.
    assert (all_copy.students / "alr-xs-layers0" / "config.json").stat().st_mtime_ns == written
    bundles = [load_bundle_config(all_copy.students / name) for name in names]
    assert [bundle.family for bundle in bundles] == [
        "shallow_ff", "token_mlp", "sgu", "shallow_ff", "sgu",
    ]  # fmt: skip
    shapes = [next(iter(bundle.students.values())) for bundle in bundles]
    assert [shape.family for shape in shapes] == [bundle.family for bundle in bundles]
    weights_over_tokens = ["toeplitz", "toeplitz", "dense", "toeplitz", "toeplitz"]
    assert [shape.spatial for shape in shapes] == weights_over_tokens
    with pytest.raises(UserError, match=r"alr with students of token_mlp does not.* encoder,deco"):
        distill(all_copy, dataclasses.replace(more, families=["token_mlp"], sites=["cross"]))


def test_students_must_be_able_to_read_the_store(run_copy):
    store = ActivationStore.open(run_copy.activations)
    config = dataclasses.replace(CONFIG, methods=["alr"], sizes=["xs"], epochs=1)
    with pytest.raises(UserError, match=f"set distill.positions to {store.longest} or more"):
        distill(run_copy, dataclasses.replace(config, positions=store.longest - 1))
    distill(run_copy, dataclasses.replace(config, positions=store.longest))


def test_students_of_another_shape_are_other_students(run_copy):
    config = dataclasses.replace(CONFIG, methods=["alr"], sizes=["xs"], positions=45)
    with pytest.raises(Killed):
        distill(run_copy, config, progress=KillAfter(4, "distill"))
    # Neither a checkpoint nor a bundle of the other shape is taken for it, or lost unasked.
    wider = dataclasses.replace(config, positions=46)
    checkpoint = run_copy.path / "distill.checkpoint.safetensors"
    before = checkpoint.read_bytes()
    with pytest.raises(UserError, match=r"unfinished students of other settings.*--overwrite"):
        distill(run_copy, wider)
    assert checkpoint.read_bytes() == before
    distill(run_copy, wider, overwrite=True)
    assert load_bundle_config(run_copy.students / "alr-xs").positions == 46
    with pytest.raises(UserError, match=r"\(positions 46 there, 45 wanted\); add --overwrite"):
        distill(run_copy, config)
    distill(run_copy, config, overwrite=True)
    assert load_bundle_config(run_copy.students / "alr-xs").positions == 45


def test_a_checkpoint_that_outlived_its_students_is_no_hindrance(run_copy, tmp_path):
    one = dataclasses.replace(CONFIG, methods=["alr"], sizes=["xs"], epochs=1)
    part = Share(1, 2)
    with pytest.raises(Killed):
        distill(run_copy, one, part=part, progress=KillAfter(2, "distill"))
    checkpoint = run_copy.path / "distill.part1of2.checkpoint.safetensors"
    kept = shutil.copy(checkpoint, tmp_path / "kept")
    distill(run_copy, one, part=part)
    # As if the process had died between the students and the removal of the checkpoint.
    shutil.copy(kept, checkpoint)
    distill(run_copy, dataclasses.replace(one, methods=["elr"]), part=part)
    assert not checkpoint.exists()


def test_batches_of_other_shards_make_other_students(run_copy):
    one = dataclasses.replace(CONFIG, methods=["alr"], sizes=["xs"], epochs=1)
    distill(run_copy, one)
    before = weights(run_copy, "alr-xs")
    for path in (run_copy.activations, run_copy.activations.with_suffix("")):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    extract(run_copy, ExtractConfig(shard_sentences=20))
    with pytest.raises(UserError, match="other settings or another teacher; add --overwrite"):
        distill(run_copy, one)
    distill(run_copy, one, overwrite=True)
    assert not same(weights(run_copy, "alr-xs"), before)
    # Without the store, the shards are those of the configuration.
    online = dataclasses.replace(one, online=True)
    distill(run_copy, online, progress=KillAfter(1, "distill"))
    run_copy.update_config(extract=ExtractConfig())
    with pytest.raises(UserError, match="other settings or another teacher; add --overwrite"):
        distill(run_copy, online)


def test_students_at_another_rate_of_the_recipe_are_other_students(run_copy, monkeypatch):
    one = dataclasses.replace(CONFIG, methods=["alr"], sizes=["xs"], epochs=1, learning_rate=None)
    with pytest.raises(Killed):
        distill(run_copy, one, progress=KillAfter(2, "distill"))
    with monkeypatch.context() as patch, pytest.raises(UserError, match="unfinished students of"):
        patch.setattr("attnreplace.distill.trainee.MODERN_RATE", 1e-6)
        distill(run_copy, one)
    distill(run_copy, one)
    path = run_copy.students / "alr-xs" / "config.json"
    record = read_json(path)
    assert record["training"]["learning_rate"] == 4e-3
    write_json(path, record | {"training": record["training"] | {"learning_rate": 2e-3}})
    with pytest.raises(UserError, match=r"\(learning_rate 0.002 there, 0.004 wanted\); add"):
        distill(run_copy, one)


def test_auto_precision_is_what_it_stands_for(run_copy, notes):
    one = dataclasses.replace(CONFIG, methods=["alr"], sizes=["xs"], epochs=1)
    distill(run_copy, one)
    explicit = "bf16" if torch.cuda.is_available() else "fp32"
    distill(run_copy, dataclasses.replace(one, precision=explicit), progress=notes)
    assert notes.said[0].endswith("is finished: nothing to do")


def test_matrix_products_in_bfloat16(all_groups, all_copy):
    names = distill(all_copy, dataclasses.replace(GROUPS, methods=["alr"], precision="bf16"))
    for name in names:
        exact, coarse = (
            load_bundle_config(run.students / name).training["relative_mse"]
            for run in (all_groups, all_copy)
        )
        for site in exact:
            assert exact[site] != coarse[site] == pytest.approx(exact[site], rel=0.05)
