"""A small run shared by the tests that only read it; those that write copy it."""

import shutil
from contextlib import contextmanager
from pathlib import Path

import pytest

from attnreplace.activations.extract import ExtractConfig, extract
from attnreplace.data.corpora import DataConfig
from attnreplace.progress import NullProgress
from attnreplace.rundir import RunDir
from attnreplace.teacher.build import TeacherConfig
from attnreplace.teacher.config import TrainingConfig
from attnreplace.teacher.train import train

DATA = DataConfig(train_size=120, validation_size=20)
TEACHER = TeacherConfig(
    d_model=16,
    encoder_layers=2,
    decoder_layers=1,
    num_heads=2,
    d_ff=32,
    vocab_size=330,
    max_length=40,
)
TRAINING = TrainingConfig(epochs=2, batch_tokens=600, validation_sentences=4, warmup_steps=2)


class Killed(Exception):
    """Stands for the end of the process at some moment."""


class KillAfter(NullProgress):
    """Progress that ends the work after a number of steps of tasks of some name."""

    def __init__(self, steps: int, task: str) -> None:
        self.left, self.name = steps, task

    @contextmanager
    def task(self, description, total, done=0):
        outer = self

        class Counting:
            def advance(self, steps=1, **figures):
                if description.startswith(outer.name):
                    outer.left -= steps
                    if outer.left <= 0:
                        raise Killed

        yield Counting()


@pytest.fixture(scope="session")
def extracted(tmp_path_factory) -> RunDir:
    """A run with a teacher and its activations; not to be written to."""
    run = RunDir(tmp_path_factory.mktemp("shared") / "run")
    train(run, DATA, TEACHER, TRAINING)
    extract(run, ExtractConfig())
    return run


@pytest.fixture
def run_copy(extracted, tmp_path) -> RunDir:
    """A run with a teacher and its activations of one's own."""
    shutil.copytree(extracted.path, tmp_path / "run")
    return RunDir(Path(tmp_path / "run"))
