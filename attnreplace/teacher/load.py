"""A trained teacher from its folder."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from transformers import AutoModelForSeq2SeqLM, AutoTokenizer, PreTrainedModel

from attnreplace.digest import model_digest, tokenizer_digest
from attnreplace.errors import UserError
from attnreplace.rundir import read_json


@dataclass
class Teacher:
    """A model, its tokenizer and the record of how it came to be."""

    path: Path
    model: PreTrainedModel
    tokenizer: Any
    record: dict[str, Any]
    """`training.json`; empty for a model that this program did not train."""

    @cached_property
    def digest(self) -> str:
        """Digest of the weights."""
        return model_digest(self.model)

    @cached_property
    def tokenizer_digest(self) -> str:
        """Digest of the tokenizer."""
        return tokenizer_digest(self.tokenizer)

    @property
    def max_length(self) -> int:
        """Longest sentence in tokens, `</s>` included."""
        teacher = self.record.get("config", {}).get("teacher", {})
        return int(teacher.get("max_length", self.model.config.max_position_embeddings))


def load_teacher(path: Path) -> Teacher:
    """Load a `save_pretrained` folder, in eval mode; only safetensors are read.

    Raises:
        UserError: no model there, or one that cannot be read.
    """
    if not (path / "config.json").is_file():
        raise UserError(f"no teacher in {path}; run `attnreplace train` first")
    try:
        model = AutoModelForSeq2SeqLM.from_pretrained(path, use_safetensors=True)
        tokenizer = AutoTokenizer.from_pretrained(path)
    except Exception as error:
        # Whatever the library found wrong with the files, the remedy is the same.
        reason = str(error).strip().splitlines()[0]
        raise UserError(
            f"the teacher in {path} cannot be loaded ({reason}); "
            "run `attnreplace train --overwrite` to make it anew"
        ) from error
    record = path / "training.json"
    return Teacher(path, model.eval(), tokenizer, read_json(record) if record.is_file() else {})
