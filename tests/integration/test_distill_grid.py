"""Grids: seeds, objectives, shares of jobs, and activations without a store."""

import dataclasses
import shutil
from contextlib import contextmanager

import pytest
import torch
from safetensors.torch import load_file

from attnreplace.distill.config import DistillConfig
from attnreplace.distill.distill import distill
from attnreplace.distill.objectives import OBJECTIVES
from attnreplace.distill.shares import Share
from attnreplace.errors import UserError
from attnreplace.progress import NullProgress
from attnreplace.rundir import RunDir, read_json
from attnreplace.splice.bundle import load_bundle_config

from .conftest import KillAfter, Killed

CONFIG = DistillConfig(
    methods=["alr", "alrr"], sizes=["xs", "s"], seeds=2, epochs=2, batch_tokens=400
)
NAMES = [
    f"{method}-{size}{seed}"
    for method in ("alr", "alrr")
    for size in ("xs", "s")
    for seed in ("", "-seed1")
]


def weights(run, name):
    return load_file(run.students / name / "model.safetensors")


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[n], other[n]) for n in one)


class Watch(NullProgress):
    """Keeps the notes and the figures of the tasks."""

    def __init__(self):
        self.notes, self.figures = [], []

    def note(self, message):
        self.notes.append(message)


@pytest.fixture(scope="module")
def grid(extracted, tmp_path_factory):
    """Students of two seeds; not to be written to."""
    run = RunDir(tmp_path_factory.mktemp("grid") / "run")
    shutil.copytree(extracted.path, run.path)
    watch = Watch()
    assert distill(run, CONFIG, progress=watch) == NAMES
    assert watch.notes[0].startswith("16 students to train, ") and "1 pass over" in watch.notes[0]
    return run


def test_a_seed_is_another_beginning_on_the_same_batches(grid):
    for name in NAMES[::2]:
        first, second = (load_bundle_config(grid.students / n) for n in (name, f"{name}-seed1"))
        assert (first.seed, second.seed) == (0, 1)
        assert first.students == second.students
        assert first.training["settings"]["seed"] == second.training["settings"]["seed"] == 0
        assert not same(weights(grid, name), weights(grid, f"{name}-seed1"))


def test_seeds_can_be_added_later(grid, run_copy):
    one = dataclasses.replace(CONFIG, methods=["alr"], sizes=["xs"], seeds=1)
    assert distill(run_copy, one) == ["alr-xs"]
    first = (run_copy.students / "alr-xs" / "config.json").stat().st_mtime_ns
    assert distill(run_copy, dataclasses.replace(one, seeds=2)) == ["alr-xs", "alr-xs-seed1"]
    assert (run_copy.students / "alr-xs" / "config.json").stat().st_mtime_ns == first
    # What was trained alone is what was trained in the grid.
    for name in ("alr-xs", "alr-xs-seed1"):
        assert same(weights(run_copy, name), weights(grid, name))


def test_another_stream_makes_other_students(grid, run_copy):
    """The seed of the batches' order counts beside the student's own."""
    one = dataclasses.replace(CONFIG, methods=["alr"], sizes=["xs"], seeds=1, seed=1)
    distill(run_copy, one)
    assert load_bundle_config(run_copy.students / "alr-xs").seed == 1
    assert not same(weights(run_copy, "alr-xs"), weights(grid, "alr-xs-seed1"))


def test_parts_meet_in_the_run_directory(grid, run_copy):
    shares = [Share(index, 3) for index in (2, 1, 3)]
    for count, share in enumerate(shares):
        watch = Watch()
        names = distill(run_copy, CONFIG, part=share, progress=watch)
        assert (names == NAMES) == (count == 2)
        # A second time there is nothing to train.
        assert distill(run_copy, CONFIG, part=share, progress=KillAfter(1, "distill")) == names
    assert not list(run_copy.path.glob("distill.*"))
    for name in NAMES:
        assert same(weights(run_copy, name), weights(grid, name))
        histories = [read_json(run.students / name / "history.json") for run in (run_copy, grid)]
        assert histories[0] == histories[1]


def test_a_killed_part_goes_on_and_the_last_part_assembles(grid, run_copy):
    config = dataclasses.replace(CONFIG, methods=["alr"], seeds=1, checkpoint_minutes=0.0)
    with pytest.raises(Killed):
        distill(run_copy, config, part=Share(2, 2), progress=KillAfter(4, "distill"))
    distill(run_copy, config, part=Share(1, 2))
    assert (run_copy.path / "distill.part2of2.checkpoint.safetensors").exists()
    watch = Watch()
    assert distill(run_copy, config, part=Share(2, 2), progress=watch) == ["alr-xs", "alr-s"]
    assert any(note.startswith("going on from epoch") for note in watch.notes)
    for name in ("alr-xs", "alr-s"):
        assert same(weights(run_copy, name), weights(grid, name))
    assert not list(run_copy.path.glob("distill.*"))


def test_what_parts_left_is_taken_up_without_them(grid, run_copy):
    config = dataclasses.replace(CONFIG, methods=["alr"], seeds=1)
    distill(run_copy, config, part=Share(1, 2))
    parts = list((run_copy.path / "distill.parts").glob("*.safetensors"))
    assert len(parts) == 2
    # Another job was killed while it assembled.
    (run_copy.path / "distill.parts" / "alr-xs.claim").touch()
    watch = Watch()
    assert distill(run_copy, config, progress=watch) == ["alr-xs", "alr-s"]
    assert watch.notes[0].startswith("2 students to train")
    assert not list(run_copy.path.glob("distill.*"))
    for name in ("alr-xs", "alr-s"):
        assert same(weights(run_copy, name), weights(grid, name))


def test_a_job_killed_while_it_assembles_keeps_no_other_from_it(grid, run_copy):
    config = dataclasses.replace(CONFIG, methods=["alr"], sizes=["xs"], seeds=1)
    distill(run_copy, config, part=Share(1, 2))
    (run_copy.path / "distill.parts" / "alr-xs.claim").touch()
    assert distill(run_copy, config, part=Share(2, 2)) == ["alr-xs"]
    assert same(weights(run_copy, "alr-xs"), weights(grid, "alr-xs"))
    assert not list(run_copy.path.glob("distill.*"))


class Meanwhile(NullProgress):
    """Does something else in the middle of the first task."""

    def __init__(self, action):
        self.action, self.result = action, None

    @contextmanager
    def task(self, description, total, done=0):
        outer = self

        class Once:
            def advance(self, steps=1, **figures):
                if outer.result is None:
                    outer.result = outer.action()

        yield Once()


def test_a_part_while_another_trains(grid, run_copy):
    meanwhile = Meanwhile(lambda: distill(run_copy, CONFIG, part=Share(1, 2)))
    assert distill(run_copy, CONFIG, part=Share(2, 2), progress=meanwhile) == NAMES
    assert meanwhile.result == []
    for name in NAMES:
        assert same(weights(run_copy, name), weights(grid, name))
    assert not list(run_copy.path.glob("distill.*"))


def test_another_job_assembles_first(grid, run_copy):
    """All students are there, and the bundles are written while this job trains its own anew."""
    config = dataclasses.replace(CONFIG, methods=["alr"], sizes=["xs"], seeds=1)
    meanwhile = Meanwhile(lambda: distill(run_copy, config))
    assert distill(run_copy, config, part=Share(2, 2), progress=meanwhile) == ["alr-xs"]
    assert meanwhile.result == ["alr-xs"]
    assert same(weights(run_copy, "alr-xs"), weights(grid, "alr-xs"))


@pytest.mark.parametrize("share", [Share(), Share(1, 2)])
def test_the_same_students_are_one_commands_at_a_time(run_copy, share):
    config = dataclasses.replace(CONFIG, methods=["alr"], sizes=["xs"], seeds=1, epochs=1)

    def second():
        with pytest.raises(UserError, match="another process is training the same students"):
            distill(run_copy, config, part=share)
        return True

    meanwhile = Meanwhile(second)
    distill(run_copy, config, part=share, progress=meanwhile)
    assert meanwhile.result


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_students_learn_by_every_objective(run_copy, objective):
    config = DistillConfig(
        methods=["alr"],
        sizes=["m"],
        objective=objective,
        epochs=4,
        batch_tokens=300,
        learning_rate=3e-3,
    )
    distill(run_copy, config)
    history = read_json(run_copy.students / "alr-m" / "history.json")
    for site in ("encoder.self.0", "encoder.self.1"):
        losses = [row["train_loss"][site] for row in history]
        errors = [row["relative_mse"][site] for row in history]
        assert losses[-1] < 0.8 * losses[0]
        # An angle says nothing of the length.
        assert errors[-1] < errors[0] or objective == "cosine"
    with pytest.raises(UserError, match="other settings or another teacher"):
        other = "l1" if objective != "l1" else "mse"
        distill(run_copy, dataclasses.replace(config, objective=other))


def test_auto_is_the_objective_it_stands_for(grid, run_copy):
    config = dataclasses.replace(CONFIG, methods=["alr"], sizes=["xs"], seeds=1)
    distill(run_copy, dataclasses.replace(config, objective="normalised_mse"))
    assert same(weights(run_copy, "alr-xs"), weights(grid, "alr-xs"))


def test_without_a_store(grid, run_copy):
    """Online, the teacher gives what the store held, to rounding."""
    config = dataclasses.replace(CONFIG, methods=["alr"], sizes=["xs"], seeds=1, online=True)
    run_copy.activations.unlink()
    shutil.rmtree(run_copy.activations.with_suffix(""))
    assert distill(run_copy, config) == ["alr-xs"]
    found, stored = (
        load_bundle_config(run.students / "alr-xs").training for run in (run_copy, grid)
    )
    assert found["relative_mse"] == pytest.approx(stored["relative_mse"], rel=1e-2)
    assert found["tokens"] == stored["tokens"]
    groups = distill(run_copy, dataclasses.replace(config, sites=["cross"], epochs=1))
    assert groups == ["alr-xs-cross"]


def test_figures_are_told(run_copy, monkeypatch):
    monkeypatch.setattr("attnreplace.distill.loop.FIGURES_SECONDS", 0.0)
    told = []

    class Figures(NullProgress):
        @contextmanager
        def task(self, description, total, done=0):
            class Keep:
                def advance(self, steps=1, **figures):
                    told.append((description, total, figures))

            yield Keep()

    config = dataclasses.replace(CONFIG, methods=["alr"], sizes=["xs"], seeds=1)
    distill(run_copy, config, progress=Figures())
    assert {description for description, _, _ in told} == {"verify", "distill alr-xs"}
    told = [of for of in told if of[0] != "verify"]
    # One task for the whole pass, so that the time left is that of all epochs.
    assert {total for _, total, _ in told} == {len(told)}
    assert told[0][2]["epoch"] == "1/2" and told[0][2]["encoder"].startswith("loss ")
    assert ", error " in told[-1][2]["encoder"]
