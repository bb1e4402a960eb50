"""A trained teacher from its folder."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, cast

from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForImageClassification,
    AutoModelForMaskedImageModeling,
    AutoModelForMaskedLM,
    AutoModelForMultipleChoice,
    AutoModelForPreTraining,
    AutoModelForQuestionAnswering,
    AutoModelForSeq2SeqLM,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    AutoTokenizer,
    PreTrainedConfig,
    PreTrainedModel,
)

from attnreplace.data.corpus import Corpus
from attnreplace.digest import model_digest, tokenizer_digest
from attnreplace.errors import UserError
from attnreplace.hosts import host_for
from attnreplace.rundir import read_json

HEADS: tuple[Any, ...] = (
    AutoModelForSeq2SeqLM,
    AutoModelForMaskedLM,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    AutoModelForQuestionAnswering,
    AutoModelForMultipleChoice,
    AutoModelForImageClassification,
    AutoModelForMaskedImageModeling,
    AutoModelForPreTraining,
)
"""The library's classes of models with a head, by what the head is for."""


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

    def require_corpus(self, corpus: Corpus) -> None:
        """Check that the corpus is of the languages that the teacher was trained on, if recorded.

        Raises:
            UserError: it is not, as where a training that is to replace the teacher was cut short.
        """
        pair = self.record.get("corpus", {}).get("pair", corpus.pair)
        if pair != corpus.pair:
            raise UserError(
                f"the teacher in {self.path} was trained on {pair} and the run is set to "
                f"{corpus.pair}; run `attnreplace train` with --overwrite to replace it, or with "
                f"--pair {pair} to keep it"
            )

    @property
    def max_length(self) -> int:
        """Longest sentence in tokens, `</s>` included."""
        teacher = self.record.get("config", {}).get("teacher", {})
        return int(teacher.get("max_length") or host_for(self.model).positions(self.model))


def load_config(path: Path | str) -> tuple[PreTrainedConfig, Any]:
    """The configuration of a `save_pretrained` folder, and the Auto class for its model.

    That is the one whose models include the class that was saved. Code that came with the model is
    not run. An encoder-decoder without a head is given that of translation, as it shares its
    weights with the embeddings.
    """
    config = AutoConfig.from_pretrained(path, trust_remote_code=False)
    saved = set(config.architectures or ())
    for head in HEADS:
        models = head._model_mapping.get(type(config), ())
        models = models if isinstance(models, tuple) else (models,)
        if saved & {model.__name__ for model in models}:
            return config, head
    return config, AutoModelForSeq2SeqLM if config.is_encoder_decoder else AutoModel


def load_model(path: Path) -> PreTrainedModel:
    """Load the model alone of a `save_pretrained` folder, in eval mode; only safetensors are read.

    Raises:
        UserError: no model there, or one that cannot be read.
    """
    if not (path / "config.json").is_file():
        raise UserError(f"no teacher in {path}; run `attnreplace train` first")
    with _one_line(path):
        _, auto_class = load_config(path)
        model = auto_class.from_pretrained(path, use_safetensors=True, trust_remote_code=False)
        return cast(PreTrainedModel, model.eval())


def load_teacher(path: Path) -> Teacher:
    """Load a `save_pretrained` folder, in eval mode; only safetensors are read.

    Raises:
        UserError: no model there, or one that cannot be read.
    """
    model = load_model(path)
    with _one_line(path):
        tokenizer = AutoTokenizer.from_pretrained(path)
    record = path / "training.json"
    return Teacher(path, model, tokenizer, read_json(record) if record.is_file() else {})


@contextmanager
def _one_line(path: Path) -> Iterator[None]:
    """Whatever the library finds wrong with the files, the remedy is the same."""
    try:
        yield
    except Exception as error:
        reason = str(error).strip().splitlines()[0]
        raise UserError(
            f"the teacher in {path} cannot be loaded ({reason}); "
            "run `attnreplace train --overwrite` to make it anew"
        ) from error
