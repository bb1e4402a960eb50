"""Models that were trained elsewhere: on the Hugging Face Hub, or in a folder."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

import torch
import transformers
from transformers import AutoTokenizer, PreTrainedModel
from transformers.utils import logging

import attnreplace.models  # noqa: F401  (registers them with the Auto classes)
from attnreplace.digest import digest_json, model_digest, tokenizer_digest
from attnreplace.errors import UserError
from attnreplace.hosts import host_for
from attnreplace.tasks.base import Task
from attnreplace.teacher.load import load_config, load_image_processor

VERSION = "transformers_version"


@dataclass
class Pretrained:
    """A model as it was found."""

    name: str
    """On the Hub, or the folder."""
    model: PreTrainedModel
    reader: Any
    """Its tokenizer or image processor."""

    @cached_property
    def digest(self) -> str:
        """Digest of the weights."""
        return model_digest(self.model)

    @cached_property
    def inputs_digest(self) -> str:
        """Digest of the weights, of what reads for them, and of the configuration."""
        config = self.model.config.to_dict()
        settings = {k: v for k, v in config.items() if k not in ("_name_or_path", VERSION)}
        reader = None if self.reader is None else reader_digest(self.reader)
        return digest_json([self.digest, reader, settings])

    @property
    def record(self) -> dict[str, Any]:
        """Where it came from and what it was."""
        kind = type(self.model).__name__
        return {"name": self.name, "class": kind, "digest": self.digest}

    @property
    def positions(self) -> int | None:
        """The longest text that it can read, in tokens; None: it reads images."""
        if reads(self.model) == "image":
            return None
        own = getattr(self.model.config, "positions", None)
        return int(own or host_for(self.model).positions(self.model))


def load_pretrained(name: str) -> Pretrained:
    """Load a model with the head that it has.

    Only safetensors are read; code that came with the model is not run.

    Raises:
        UserError: there is no such model, or it cannot be read.
    """
    with _one_line(name):
        _, auto_class = load_config(name)
        model = auto_class.from_pretrained(name, use_safetensors=True, trust_remote_code=False)
    return Pretrained(name, model.eval(), load_reader(name, reads(model)))


def load_reader(name: str, reads: str) -> Any:
    """The tokenizer ("text") or image processor ("image") of a model.

    Raises:
        UserError: there is none, or it cannot be read.
    """
    with _one_line(name):
        if reads == "image":
            config, _ = load_config(name)
            return load_image_processor(name, config.image_size)
        return AutoTokenizer.from_pretrained(name, trust_remote_code=False)


def load_for_task(name: str, task: Task, **settings: Any) -> PreTrainedModel:
    """Load a model with the head of a task, in float32; a head that it lacks is drawn.

    Args:
        name: on the Hub, or a folder.
        task: says which head.
        settings: of the configuration, as the classes.

    Raises:
        UserError: there is no such model, it cannot have such a head, or more than a head is
            missing.
    """
    with _one_line(name):
        model, found = getattr(transformers, task.auto_class).from_pretrained(
            name,
            use_safetensors=True,
            trust_remote_code=False,
            dtype=torch.float32,
            ignore_mismatched_sizes=True,
            output_loading_info=True,
            **settings,
        )
    missing = [*found["missing_keys"], *(key[0] for key in found["mismatched_keys"])]
    body = [
        key
        for key in sorted(missing)
        if key.startswith(f"{model.base_model_prefix}.") and ".pooler." not in key
    ]
    if body:
        raise UserError(
            f"{name} has no weights for {body[0]} of a {type(model).__name__}, and more than a "
            "head cannot be made up for; name a model of that architecture"
        )
    return cast(PreTrainedModel, model)


def reads(model: PreTrainedModel) -> str:
    """What a model reads: "text" or "image"."""
    return "image" if model.main_input_name == "pixel_values" else "text"


def reader_digest(reader: Any) -> str:
    """Digest of a tokenizer, or of how images are brought to what a model reads."""
    if isinstance(reader, transformers.PreTrainedTokenizerBase):
        return tokenizer_digest(reader)
    settings = reader.to_dict()
    return digest_json({name: value for name, value in settings.items() if value is not None})


@contextmanager
def _one_line(name: str) -> Iterator[None]:
    """The library's tables of missing weights are not shown, its errors are cut to a line."""
    verbosity = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        yield
    except Exception as error:
        reason = str(error).strip().splitlines()[0]
        raise UserError(
            f"cannot load {name} ({reason}); it should be a name on the Hugging Face Hub or a "
            "folder with config.json and model.safetensors"
        ) from error
    finally:
        logging.set_verbosity(verbosity)
