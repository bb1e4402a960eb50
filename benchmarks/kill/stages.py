"""The stages under test, on a corpus so small that one takes a second."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from attnreplace.activations.extract import ExtractConfig, extract
from attnreplace.data.corpora import DataConfig
from attnreplace.distill.config import DistillConfig
from attnreplace.distill.distill import distill
from attnreplace.progress import NullProgress
from attnreplace.rundir import RunDir
from attnreplace.teacher.build import TeacherConfig
from attnreplace.teacher.config import TrainingConfig
from attnreplace.teacher.train import train

DATA = DataConfig(train_size=150, validation_size=20)
TEACHER = TeacherConfig(
    d_model=16,
    encoder_layers=2,
    decoder_layers=2,
    num_heads=2,
    d_ff=32,
    vocab_size=330,
    max_length=40,
)
OFTEN = 0.0005
"""Minutes between checkpoints."""
TRAINING = TrainingConfig(
    epochs=3, batch_tokens=400, validation_sentences=4, warmup_steps=2, checkpoint_minutes=OFTEN
)
EXTRACTION = ExtractConfig(sites=["all"], shard_sentences=16, batch_tokens=300)
DISTILLATION = DistillConfig(
    methods=["alr", "elr"],
    sizes=["xs", "s"],
    epochs=3,
    batch_tokens=500,
    patience=1,
    max_students=5,
    checkpoint_minutes=OFTEN,
)
"""Eight bundles: several passes, of students from several bundles."""


@dataclass(frozen=True)
class Stage:
    """One stage of the program."""

    name: str
    run: Callable[[RunDir, NullProgress], object]
    """Do it, or go on with it; it may overwrite."""
    stale: Callable[[RunDir], object]
    """The same with other settings: what `run` then finds in its way."""
    needs: tuple[str, ...]
    """Files of the run directory that it starts from."""

    def begin(self, base: Path, folder: Path) -> RunDir:
        """A run directory in which the stage has not been done."""
        folder.mkdir(parents=True)
        for name in self.needs:
            source = base / name
            if source.is_dir():
                shutil.copytree(source, folder / name)
            else:
                shutil.copy2(source, folder / name)
        return RunDir(folder)


def _train(run: RunDir, progress: NullProgress, training: TrainingConfig = TRAINING) -> None:
    train(run, DATA, TEACHER, training, overwrite=True, progress=progress)


def _extract(run: RunDir, progress: NullProgress, config: ExtractConfig = EXTRACTION) -> None:
    extract(run, config, overwrite=True, progress=progress)


def _distill(run: RunDir, progress: NullProgress, config: DistillConfig = DISTILLATION) -> None:
    distill(run, config, overwrite=True, progress=progress)


STAGES = {
    "train": Stage(
        "train",
        _train,
        lambda run: _train(run, NullProgress(), TrainingConfig(epochs=1, validation_sentences=1)),
        needs=(),
    ),
    "extract": Stage(
        "extract",
        _extract,
        lambda run: _extract(run, NullProgress(), ExtractConfig(sites=["cross"], max_train=60)),
        needs=("config.toml", "teacher"),
    ),
    "distill": Stage(
        "distill",
        _distill,
        lambda run: _distill(run, NullProgress(), replace(DISTILLATION, epochs=1)),
        needs=("config.toml", "teacher", "activations.h5", "activations"),
    ),
}


def prepare(folder: Path) -> None:
    """A run with a teacher and its activations."""
    run = RunDir(folder)
    train(run, DATA, TEACHER, TRAINING)
    extract(run, EXTRACTION)
