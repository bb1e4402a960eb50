"""Shapes of teachers, and models of those shapes that hold no numbers."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel

from attnreplace.config import RunConfig
from attnreplace.errors import UserError
from attnreplace.teacher.build import PRESETS, TeacherConfig, build_teacher
from attnreplace.teacher.config import TrainingConfig
from attnreplace.teacher.load import load_config

HOSTS: Mapping[str, dict[str, Any]] = {
    # M2M-100 of 1.2 billion parameters.
    "1b": {
        "d_model": 1024,
        "encoder_layers": 24,
        "decoder_layers": 24,
        "num_heads": 16,
        "d_ff": 8192,
        "vocab_size": 128_112,
    },
    # NLLB-200 of 3.3 billion parameters.
    "3b": {
        "d_model": 2048,
        "encoder_layers": 24,
        "decoder_layers": 24,
        "num_heads": 16,
        "d_ff": 8192,
        "vocab_size": 256_206,
    },
}
"""Shapes of trained models on the Hub: planned for, not trained here."""


def teacher_shape(name: str) -> TeacherConfig:
    """The shape of a preset of `attnreplace train`, or of one of `HOSTS`.

    Raises:
        UserError: none of that name.
    """
    shapes = PRESETS | dict(HOSTS)
    if name not in shapes:
        raise UserError(f"no teacher {name!r}; valid: {', '.join(shapes)}")
    return TeacherConfig(**shapes[name])


class Vocabulary:
    """As much of a tokenizer as building a teacher takes."""

    bos_token_id, pad_token_id, eos_token_id = 0, 1, 2

    def __init__(self, size: int) -> None:
        self._size = size

    def __len__(self) -> int:
        return self._size


def of_translation(config: RunConfig) -> tuple[TeacherConfig, TrainingConfig]:
    """The teacher and its training, where the run is one of translation from scratch.

    Raises:
        UserError: it is not.
    """
    teacher, training = config.teacher, config.training
    if isinstance(teacher, TeacherConfig) and isinstance(training, TrainingConfig):
        return teacher, training
    raise UserError(
        "plans are made for teachers that are trained to translate; this run has another"
    )


def empty_model(shape: TeacherConfig) -> PreTrainedModel:
    """A teacher of that shape on the meta device: names and shapes, no memory."""
    with torch.device("meta"):
        return build_teacher(shape, Vocabulary(shape.vocab_size))


def empty_copy(folder: Path) -> PreTrainedModel:
    """The model of a `save_pretrained` folder, likewise without its weights.

    Raises:
        UserError: no model there.
    """
    if not (folder / "config.json").is_file():
        raise UserError(f"no teacher in {folder}; run `attnreplace train` first")
    config, auto_class = load_config(folder)
    with torch.device("meta"):
        model: PreTrainedModel = auto_class.from_config(config)
    return model
