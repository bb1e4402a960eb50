"""What a training keeps in the run directory beside the teacher, and what it is known by."""

import shutil
from collections.abc import Collection
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel

from attnreplace.checkpoint import load_state
from attnreplace.digest import digest_json
from attnreplace.errors import UserError
from attnreplace.files import discard
from attnreplace.precision import resolved_precision
from attnreplace.rundir import RunDir, write_json
from attnreplace.teacher.config import BaseTraining


def training_digest(
    corpus_digest: str,
    teacher: Any,
    training: BaseTraining,
    device: torch.device,
    source: str | None = None,
) -> str:
    """Digest of all that a training on this device depends on.

    Args:
        corpus_digest: of the corpus.
        teacher: the configuration of the teacher.
        training: how it is trained.
        device: where.
        source: digest of the weights to start from, which count, whatever their place is called.
    """
    inputs = {
        "corpus": corpus_digest,
        "teacher": without_none(teacher) | ({} if source is None else {"pretrained": source}),
        "training": without_none(training),
    }
    if training.precision == "auto":
        precision = resolved_precision(training.precision, device)
        # "auto" by itself stands for fp32.
        inputs |= {} if precision == "fp32" else {"precision": precision}
    return digest_json(inputs)


def without_none(config: Any) -> dict[str, Any]:
    """The fields of a configuration that are set."""
    return {name: value for name, value in asdict(config).items() if value is not None}


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
        discard(checkpoint)


def write_teacher(
    run: RunDir, model: PreTrainedModel, reader: Any, record: dict[str, Any], inputs: str
) -> None:
    """Write the teacher's folder, whole or not at all.

    Args:
        run: where.
        model: with the weights to keep.
        reader: its tokenizer or image processor; None: it has none.
        record: how it came to be.
        inputs: digest of what it was made from; a checkpoint of that is removed.

    Raises:
        UserError: the disk is full.
    """
    write_model(run.path / "teacher.tmp", run.teacher, former_teacher(run), model, reader, record)
    clear(run, [inputs])


def write_model(
    temporary: Path,
    folder: Path,
    former: Path,
    model: PreTrainedModel,
    reader: Any,
    record: dict[str, Any],
) -> None:
    """Write a trained model's folder, whole or not at all.

    Args:
        temporary: where it is written.
        folder: where it goes from there.
        former: where what was in `folder` stands aside meanwhile.
        model: with the weights to keep.
        reader: its tokenizer or image processor; None: it has none.
        record: how it came to be, as `training.json`.

    Raises:
        UserError: the disk is full.
    """
    shutil.rmtree(temporary, ignore_errors=True)
    # Cutting over-long sentences leaves its settings in a tokenizer.
    if (backend := getattr(reader, "backend_tokenizer", None)) is not None:
        backend.no_truncation()
        backend.no_padding()
    try:
        model.save_pretrained(temporary)
        if reader is not None:
            reader.save_pretrained(temporary)
        write_json(temporary / "training.json", record)
    except Exception as error:  # Of a full disk each of the libraries says so in its own class.
        shutil.rmtree(temporary, ignore_errors=True)
        raise UserError(
            f"cannot write the model to {temporary} ({error}); free some disk space and repeat "
            "the command, which goes on from what it has kept"
        ) from error
    shutil.rmtree(former, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    if folder.exists():
        folder.rename(former)
    temporary.rename(folder)
    shutil.rmtree(former, ignore_errors=True)
