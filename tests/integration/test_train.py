"""Training: resumed equals uninterrupted, refusals lose nothing, the objective is learnt."""

import dataclasses
import os
import subprocess
import sys
import time

import pytest
import torch
from safetensors.torch import load_file

from attnreplace.activations.extract import ExtractConfig, extract
from attnreplace.distill.config import DistillConfig
from attnreplace.distill.distill import distill
from attnreplace.errors import UserError
from attnreplace.evaluate.config import EvalConfig
from attnreplace.evaluate.evaluate import evaluate
from attnreplace.progress import NullProgress
from attnreplace.rundir import RunDir, read_json, write_json
from attnreplace.teacher.files import training_digest
from attnreplace.teacher.load import load_teacher
from attnreplace.teacher.train import train

from .conftest import DATA, TEACHER, TRAINING, InterruptAfter, KillAfter, Killed

EAGER = dataclasses.replace(TRAINING, checkpoint_minutes=0.0)


def weights(run):
    return load_file(run.teacher / "model.safetensors")


def same(one, other):
    return one.keys() == other.keys() and all((one[n] == other[n]).all() for n in one)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    run = RunDir(tmp_path_factory.mktemp("train") / "run")
    train(run, DATA, TEACHER, EAGER)
    return run


def test_training_is_deterministic_and_learns(extracted, uninterrupted):
    # How often a checkpoint is written is the only difference between the two.
    assert same(weights(extracted), weights(uninterrupted))
    history = read_json(uninterrupted.teacher / "training.json")["history"]
    assert [row["epoch"] for row in history] == [1, 2]
    assert history[1]["train_loss"] < history[0]["train_loss"] - 0.1
    assert history[1]["validation_loss"] < history[0]["validation_loss"]


@pytest.mark.parametrize("steps", [1, 3, 6])
def test_killed_and_resumed_equals_uninterrupted(uninterrupted, tmp_path, steps):
    run = RunDir(tmp_path / "run")
    with pytest.raises(Killed):
        train(run, DATA, TEACHER, EAGER, progress=KillAfter(steps, "teacher"))
    assert not run.teacher.exists()
    train(run, DATA, TEACHER, EAGER)
    assert same(weights(run), weights(uninterrupted))
    assert not list(run.path.glob("*.checkpoint.*"))


def test_what_was_done_until_ctrl_c_is_kept(uninterrupted, tmp_path, notes):
    run = RunDir(tmp_path / "run")
    config = dataclasses.replace(EAGER, checkpoint_minutes=10.0)
    with pytest.raises(KeyboardInterrupt):
        train(run, DATA, TEACHER, config, progress=InterruptAfter(3, "teacher"))
    train(run, DATA, TEACHER, config, progress=notes)
    assert any(said.endswith("update 3") for said in notes.said)
    assert same(weights(run), weights(uninterrupted))


def test_a_real_kill_is_survived(uninterrupted, tmp_path):
    run = RunDir(tmp_path / "run")
    script = (
        "from pathlib import Path\n"
        "from attnreplace.rundir import RunDir\n"
        "from attnreplace.teacher.train import train\n"
        "from attnreplace.data.corpora import DataConfig\n"
        "from attnreplace.teacher.build import TeacherConfig\n"
        "from attnreplace.teacher.config import TrainingConfig\n"
        f"train(RunDir(Path({str(run.path)!r})), {DATA!r}, {TEACHER!r}, {EAGER!r})\n"
    )
    process = subprocess.Popen([sys.executable, "-c", script], env=os.environ)
    checkpoint = run.path / "teacher.checkpoint.safetensors"
    deadline = time.monotonic() + 120
    while not checkpoint.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    process.kill()
    process.wait()
    train(run, DATA, TEACHER, EAGER)
    assert same(weights(run), weights(uninterrupted))


def test_finished_is_kept_and_other_settings_are_refused(run_copy):
    before = weights(run_copy)
    train(run_copy, DATA, TEACHER, TRAINING)
    other = dataclasses.replace(TRAINING, epochs=1, seed=1)
    differences = r"\(epochs \d+ there, 1 wanted; seed 0 there, 1 wanted\)"
    with pytest.raises(UserError, match=f"other settings or data {differences}; add --overwrite"):
        train(run_copy, DATA, TEACHER, other)
    assert same(weights(run_copy), before)
    train(run_copy, DATA, TEACHER, other, overwrite=True)
    assert not same(weights(run_copy), before)
    assert len(read_json(run_copy.teacher / "training.json")["history"]) == 1


def test_an_unfinished_training_is_not_lost_unasked(tmp_path):
    run = RunDir(tmp_path / "run")
    one = dataclasses.replace(EAGER, epochs=1)
    with pytest.raises(Killed):
        train(run, DATA, TEACHER, one, progress=KillAfter(2, "teacher"))
    checkpoint = run.path / "teacher.checkpoint.safetensors"
    before = checkpoint.read_bytes()
    other = dataclasses.replace(one, seed=1)
    with pytest.raises(UserError, match=r"unfinished training of other.*former.*--overwrite"):
        train(run, DATA, TEACHER, other)
    assert checkpoint.read_bytes() == before and run.config().training == one
    train(run, DATA, TEACHER, other, overwrite=True)
    assert read_json(run.teacher / "training.json")["config"]["training"]["seed"] == 1
    assert not checkpoint.exists()


def test_a_run_trains_one_teacher_at_a_time(tmp_path):
    run = RunDir(tmp_path / "run")
    refused = []

    class Second(NullProgress):
        def note(self, message):
            with pytest.raises(UserError, match="another process is training the teacher of"):
                train(run, DATA, TEACHER, TRAINING)
            refused.append(message)

    train(run, DATA, TEACHER, dataclasses.replace(TRAINING, epochs=1), progress=Second())
    assert refused and sorted(path.name for path in run.path.iterdir()) == [
        "config.toml",
        "teacher",
    ]


def test_a_teacher_of_other_languages_is_not_used(run_copy):
    other = dataclasses.replace(DATA, pair="en-fr")
    with pytest.raises(Killed):
        train(run_copy, other, TEACHER, EAGER, overwrite=True, progress=KillAfter(2, "teacher"))
    online = DistillConfig(methods=["alrr"], sizes=["xs"], online=True)
    for stage in (
        lambda: extract(run_copy, ExtractConfig(), overwrite=True),
        lambda: distill(run_copy, online),
        lambda: evaluate(run_copy, EvalConfig()),
    ):
        with pytest.raises(UserError, match=r"trained on de-en and the run is set to en-fr; run"):
            stage()
    train(run_copy, DATA, TEACHER, TRAINING)
    extract(run_copy, ExtractConfig())


def test_auto_precision_on_a_gpu_is_another_training(run_copy):
    digests = {
        (precision, device): training_digest(
            "corpus",
            TEACHER,
            dataclasses.replace(TRAINING, precision=precision),
            torch.device(device),
        )
        for precision in ("auto", "fp32", "bf16")
        for device in ("cpu", "cuda")
    }
    assert digests["auto", "cpu"] != digests["auto", "cuda"]
    for precision in ("fp32", "bf16"):
        assert digests[precision, "cpu"] == digests[precision, "cuda"]
    # A finished teacher is a teacher wherever it was trained.
    record = read_json(run_copy.teacher / "training.json")
    corpus = run_copy.corpus().digest
    for device in map(torch.device, ("cpu", "cuda")):
        record["inputs_digest"] = training_digest(corpus, TEACHER, TRAINING, device)
        write_json(run_copy.teacher / "training.json", record)
        train(run_copy, DATA, TEACHER, TRAINING, progress=KillAfter(1, "teacher"))


def test_pairs_over_the_limit_are_counted(tmp_path):
    run = RunDir(tmp_path / "run")
    short = dataclasses.replace(TEACHER, max_length=30)
    train(run, DATA, short, dataclasses.replace(TRAINING, epochs=1))
    record = read_json(run.teacher / "training.json")
    assert 0 < record["dropped"]["train"] < DATA.train_size
    assert record["dropped"]["train"] + record["corpus"]["train"] == DATA.train_size
    assert load_teacher(run.teacher).max_length == 30
    with pytest.raises(UserError, match=r"none of the 120 training pairs.*raise max_length"):
        train(RunDir(tmp_path / "b"), DATA, dataclasses.replace(TEACHER, max_length=2), TRAINING)


def test_post_norm_teacher_trains(tmp_path):
    run = RunDir(tmp_path / "run")
    post = dataclasses.replace(TEACHER, norm="post")
    teacher = train(run, DATA, post, dataclasses.replace(TRAINING, epochs=1))
    assert teacher.model.config.model_type == "marian"


def test_a_damaged_teacher_is_one_line(run_copy):
    path = run_copy.teacher / "model.safetensors"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(UserError, match=r"cannot be loaded.*--overwrite") as error:
        load_teacher(run_copy.teacher)
    assert "\n" not in str(error.value)
