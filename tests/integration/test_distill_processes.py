"""Two processes on CPUs: by student they give the numbers of one, by data the same to rounding.

And so do they when they train a teacher or tune, where batches are always shared.
`accelerate launch` starts them, by way of torchrun.
"""

import dataclasses
import os
import shutil
import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file

from attnreplace.config import RunConfig
from attnreplace.distill.config import DistillConfig
from attnreplace.distill.distill import distill
from attnreplace.rundir import RunDir, read_json
from attnreplace.teacher.train import train
from attnreplace.tune import targets
from attnreplace.tune.config import TuneConfig
from attnreplace.tune.folder import tuned_record
from attnreplace.tune.tune import tune

from .conftest import DATA, TEACHER, TRAINING

NAMES = ["alr-xs", "alr-s", "alrr-xs", "alrr-s"]
CONFIG = DistillConfig(
    methods=["alr", "alrr"],
    sizes=["xs", "s"],
    epochs=2,
    batch_tokens=80,
    learning_rate=2e-3,
    checkpoint_minutes=0.0,
)
CHUNK = 50
"""Sentences of the training set that a process translates before the next are another's."""
# Two processes of the same program: the second configuration is trained after the first.
SCRIPT = """
import sys
from pathlib import Path
from attnreplace.config import RunConfig
from attnreplace.distill.config import DistillConfig
from attnreplace.distill.distill import distill
from attnreplace.distill.team import Team
from attnreplace.rundir import RunDir
from attnreplace.tune import targets
from attnreplace.teacher.train import train
from attnreplace.tune.config import TuneConfig
from attnreplace.tune.tune import tune

targets.CHUNK = {chunk}
assert Team.launched().count == 2
for folder, placement in zip(sys.argv[1:], ("student", "data")):
    run = RunDir(Path(folder))
    names = distill(run, DistillConfig(**{settings!r}, placement=placement))
    assert names == run.bundles() or sorted(names) == run.bundles(), names
for folder, tuning in zip((sys.argv[1], sys.argv[3]), {tuning!r}):
    tune(RunDir(Path(folder)), TuneConfig(**tuning))
teacher = RunConfig.load(Path(sys.argv[4]))
train(RunDir(Path(sys.argv[5])), teacher.data, teacher.teacher, teacher.training)
"""
TUNING = {"system": "alr-s", "epochs": 2, "warmup_steps": 2, "targets": "teacher"}
HEADLESS = {
    "system": "alr-xs",
    "epochs": 2,
    "warmup_steps": 2,
    "losses": ["hidden"],
    "train": "all",
    "weight_decay": 0.1,
}
"""No loss reaches the head, whose gradients processes wait for all the same."""
SURE = dataclasses.replace(TEACHER, dropout=0.0)
"""Each process has dropout of its own."""
ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}


@pytest.fixture(scope="module")
def trained(extracted, encoder_runs, tmp_path_factory):
    """The same students by one process, by two placed by student, and by two sharing batches.

    Then a classifier with students, for one process and for two, and a teacher by one and by two.
    """
    folder = tmp_path_factory.mktemp("processes")
    runs = [RunDir(folder / name) for name in ("one", "student", "data")]
    for run in runs:
        shutil.copytree(extracted.path, run.path)
    encoders = [RunDir(folder / f"encoder-{name}") for name in ("one", "two")]
    for run in encoders:
        shutil.copytree(encoder_runs["classification"].path, run.path)
        distill(run, DistillConfig(sizes=["xs"], epochs=1))
    settings = {
        name: getattr(CONFIG, name)
        for name in (
            "methods",
            "sizes",
            "epochs",
            "batch_tokens",
            "learning_rate",
            "checkpoint_minutes",
        )
    }
    script = folder / "script.py"
    script.write_text(
        SCRIPT.replace("{settings!r}", repr(settings))
        .replace("{tuning!r}", repr((TUNING, HEADLESS)))
        .replace("{chunk}", str(CHUNK))
    )
    RunConfig(data=DATA, teacher=SURE, training=TRAINING).save(folder / "teacher.toml")
    teachers = [RunDir(folder / f"teacher-{name}") for name in ("one", "two")]
    train(teachers[0], DATA, SURE, TRAINING)
    # Without the first option it starts several processes on GPUs only.
    launch = [sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu"]
    launch += ["--num_processes", "2", "--main_process_port", "0"]
    done = subprocess.run(
        [
            *launch,
            script,
            *(run.path for run in (runs[1], runs[2], encoders[1])),
            folder / "teacher.toml",
            teachers[1].path,
        ],
        capture_output=True,
        text=True,
        timeout=300,
        env=ENVIRONMENT,
    )
    assert done.returncode == 0, done.stderr
    assert distill(runs[0], CONFIG) == NAMES
    return [*runs, *encoders, *teachers]


def weights(run, name):
    return load_file(run.students / name / "model.safetensors")


@pytest.mark.parametrize("name", NAMES)
def test_by_student_equals_one_process(trained, name):
    one, two = (weights(run, name) for run in trained[:2])
    assert one.keys() == two.keys()
    assert all(torch.equal(one[key], two[key]) for key in one)
    histories = [read_json(run.students / name / "history.json") for run in trained[:2]]
    assert histories[0] == histories[1]


@pytest.mark.parametrize("name", NAMES)
def test_by_data_equals_one_process_to_rounding(trained, name):
    one, _, shared = (read_json(run.students / name / "history.json") for run in trained[:3])
    for whole, halves in zip(one, shared, strict=True):
        for figure in ("train_loss", "relative_mse"):
            # Adam makes gradients that are nothing but rounding as large as any.
            assert halves[figure] == pytest.approx(whole[figure], rel=2e-3)
    first, second = weights(trained[0], name), weights(trained[2], name)
    # Such gradients move single weights by whole steps, on some processors more of them.
    for key in first:
        apart = torch.linalg.vector_norm(first[key] - second[key])
        assert apart < 0.1 * torch.linalg.vector_norm(first[key]), key


# Relative errors are of each half of a batch, and each process has dropout of its own.
@pytest.mark.parametrize(
    ("runs", "config", "within"), [((0, 1), TUNING, 1e-4), ((3, 4), HEADLESS, 0.05)]
)
def test_batches_are_shared_to_tune(trained, runs, config, within, monkeypatch):
    monkeypatch.setattr(targets, "CHUNK", CHUNK)
    folder = tune(trained[runs[0]], TuneConfig(**config))
    one, two = (tuned_record(trained[run], folder.name) for run in runs)
    assert (one["processes"], two["processes"]) == (1, 2)
    for whole, halves in zip(one["history"], two["history"], strict=True):
        for figure in ("train_loss", "validation_loss"):
            assert halves[figure] == pytest.approx(whole[figure], rel=within)
    first, second = (
        load_file(trained[run].tuned / folder.name / "model.safetensors") for run in runs
    )
    for name in first.keys() & {"classifier.weight", "lm_head.weight"}:
        torch.testing.assert_close(first[name], second[name], rtol=1e-4, atol=1e-6)


def test_translating_is_shared(trained):
    one, two = (run.path / "translations.beam1.jsonl" for run in trained[:2])
    assert one.read_bytes() == two.read_bytes()


def test_batches_are_shared_to_train(trained):
    one, two = (read_json(run.teacher / "training.json") for run in trained[5:])
    assert (one["processes"], two["processes"]) == (1, 2)
    for whole, halves in zip(one["history"], two["history"], strict=True):
        for figure in ("train_loss", "validation_loss"):
            assert halves[figure] == pytest.approx(whole[figure], rel=1e-6)
    first, second = (load_file(run.teacher / "model.safetensors") for run in trained[5:])
    assert first.keys() == second.keys()
    # The softmax takes no notice of a bias of the keys: its gradient is nothing but rounding.
    for name in (name for name in first if not name.endswith("k_proj.bias")):
        torch.testing.assert_close(first[name], second[name], rtol=1e-4, atol=1e-6)


def test_nothing_is_left_behind(trained):
    for run in trained[:3]:
        assert run.bundles() == sorted(NAMES)
        assert not list(run.path.glob("distill.*"))
    for run in trained[5:]:
        assert sorted(path.name for path in run.path.iterdir()) == ["config.toml", "teacher"]
