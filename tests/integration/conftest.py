"""Small runs shared by the tests that only read them; those that write copy them."""

import os
import random
import shutil
import signal
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from transformers import (
    BertConfig,
    BertForMaskedLM,
    BertForSequenceClassification,
    BertModel,
    PreTrainedModel,
    ViTConfig,
    ViTForImageClassification,
)

from attnreplace.activations.extract import ExtractConfig, extract
from attnreplace.data.corpora import DataConfig
from attnreplace.distill.config import DistillConfig
from attnreplace.distill.distill import distill
from attnreplace.progress import NullProgress
from attnreplace.rundir import RunDir
from attnreplace.teacher.build import TeacherConfig
from attnreplace.teacher.config import TrainingConfig
from attnreplace.teacher.train import train

from ..conftest import word_tokenizer

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
STUDENTS = DistillConfig(methods=["alr"], sizes=["xs"], epochs=1, learning_rate=2e-3)


@pytest.fixture(autouse=True, scope="session")
def one_thread():
    """So that what is equal is so to the bit, however the work was divided."""
    torch.set_num_threads(1)


class Killed(Exception):
    """Stands for the end of the process at some moment."""


class KillAfter(NullProgress):
    """Progress that ends the work after a number of steps of tasks of some name."""

    def __init__(self, steps: int, task: str) -> None:
        self.left, self.name = steps, task

    def end(self) -> None:
        raise Killed

    @contextmanager
    def task(self, description, total, done=0):
        outer = self

        class Counting:
            def advance(self, steps=1, **figures):
                if description.startswith(outer.name):
                    outer.left -= steps
                    if outer.left <= 0:
                        outer.end()

        yield Counting()


class InterruptAfter(KillAfter):
    """The same, as Ctrl-C does it; once."""

    def end(self) -> None:
        self.name = "nothing any more"
        os.kill(os.getpid(), signal.SIGINT)


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


@pytest.fixture(scope="session")
def spliced(extracted, tmp_path_factory) -> RunDir:
    """A run with bundles for every group of sites; not to be written to."""
    run = RunDir(tmp_path_factory.mktemp("spliced") / "run")
    shutil.copytree(extracted.path, run.path)
    extract(run, ExtractConfig(sites=["all"]), overwrite=True)
    distill(run, STUDENTS)
    return run


@pytest.fixture
def own(spliced, tmp_path) -> RunDir:
    """A copy to write to."""
    shutil.copytree(spliced.path, tmp_path / "run")
    return RunDir(tmp_path / "run")


@pytest.fixture(scope="session")
def encoder_runs(tmp_path_factory) -> dict[str, RunDir]:
    """Runs of untrained encoders with their activations in float32; not to be written to."""
    runs = {kind: encoder_run(tmp_path_factory.mktemp(kind), kind) for kind in ENCODERS}
    for run in runs.values():
        extract(run, ExtractConfig(dtype="float32", batch_tokens=64, shard_sentences=24))
    return runs


WORDS = ("boat", "sails", "under", "old", "bridges", "while", "seven", "geese", "watch", "rain")

ENCODERS = {
    "mlm": BertForMaskedLM,
    "classification": BertForSequenceClassification,
    "texts": BertModel,
    "image": ViTForImageClassification,
}
"""The teacher of each run; that of "texts" has no head and reads the corpus of the task mlm."""


def encoder_run(path: Path, kind: str) -> RunDir:
    """A run with its corpus and a folder of a model that this program did not train."""
    run = RunDir(path / "run")
    run.update_config(data=encoder_data(path, kind))
    torch.manual_seed(0)
    model = tiny_encoder(kind)
    # Large weights, so that attention matters.
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    model.save_pretrained(run.teacher)
    if kind != "image":
        word_tokenizer(WORDS).save_pretrained(run.teacher)
    return run


def encoder_data(path: Path, kind: str) -> DataConfig:
    """The digits, or text of lines of one to sixteen words, some of them of two classes."""
    if kind == "image":
        return DataConfig(task="image", train_size=40, validation_size=10)
    data = path / "data"
    data.mkdir(parents=True)
    draw = random.Random(0)
    for split, count in (("train", 40), ("validation", 10)):
        lines = [" ".join(draw.choices(WORDS, k=draw.randint(1, 16))) for _ in range(count)]
        if kind == "classification":
            rows = ["sentence\tlabel", *(f"{line}\t{i % 2}" for i, line in enumerate(lines))]
            (data / f"{split}.tsv").write_text("\n".join(rows) + "\n")
        else:
            (data / f"{split}.txt").write_text("\n".join(lines) + "\n")
    task = "classification" if kind == "classification" else "mlm"
    return DataConfig(task=task, data_dir=str(data))


def tiny_encoder(kind: str) -> PreTrainedModel:
    """Of two layers; a ViT of four by four patches."""
    shape = {
        "hidden_size": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 24,
    }
    if kind == "image":
        return ViTForImageClassification(
            ViTConfig(image_size=8, patch_size=2, num_labels=10, **shape)
        )
    config = BertConfig(
        vocab_size=len(WORDS) + 5, max_position_embeddings=12, pad_token_id=0, **shape
    )
    return ENCODERS[kind](config)
