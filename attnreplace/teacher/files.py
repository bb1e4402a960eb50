"""What a training keeps in the run directory beside the teacher, and what it is known by."""

import shutil
from collections.abc import Collection
from dataclasses import asdict
from pathlib import Path

import torch

from attnreplace.checkpoint import load_state
from attnreplace.digest import digest_json
from attnreplace.errors import UserError
from attnreplace.precision import resolved_precision
from attnreplace.rundir import RunDir
from attnreplace.teacher.build import TeacherConfig
from attnreplace.teacher.config import TrainingConfig


def training_digest(
    corpus_digest: str, teacher: TeacherConfig, training: TrainingConfig, device: torch.device
) -> str:
    """Digest of all that a training on this device depends on."""
    inputs = {"corpus": corpus_digest, "teacher": asdict(teacher), "training": asdict(training)}
    if training.precision == "auto":
        precision = resolved_precision(training.precision, device)
        # "auto" by itself stands for fp32.
        inputs |= {} if precision == "fp32" else {"precision": precision}
    return digest_json(inputs)


def checkpoint_path(run: RunDir) -> Path:
    """The file of an unfinished training."""
    return run.path / "teacher.checkpoint.safetensors"


def lock_path(run: RunDir) -> Path:
    """The file that is there while a process trains."""
    return run.path / "teacher.lock"


def former_teacher(run: RunDir) -> Path:
    """Where a teacher stands aside while another takes its place."""
    return run.teacher.with_name(run.teacher.name + ".old")


def check_checkpoint(run: RunDir, inputs: str) -> None:
    """Refuse to lose the checkpoint of another training.

    Raises:
        UserError: there is one.
    """
    checkpoint = checkpoint_path(run)
    if checkpoint.exists() and load_state(checkpoint)["inputs_digest"] != inputs:
        raise UserError(
            f"{checkpoint} is of an unfinished training of other settings, data or precision; "
            "repeat the command with the former ones to go on, "
            "or add --overwrite to throw it away"
        )


def clear(run: RunDir, finished: Collection[str]) -> None:
    """Remove what a finished training no longer needs.

    Args:
        finished: digests of its inputs.
    """
    shutil.rmtree(former_teacher(run), ignore_errors=True)
    checkpoint = checkpoint_path(run)
    if checkpoint.exists() and load_state(checkpoint)["inputs_digest"] in finished:
        checkpoint.unlink()
