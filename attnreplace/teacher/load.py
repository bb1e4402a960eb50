"""A trained teacher from its folder."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import numpy as np
import transformers
from torch import Tensor
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
    ViTImageProcessorPil,
)

import attnreplace.models  # noqa: F401  (registers them with the Auto classes)
from attnreplace.data.corpora import AnyCorpus
from attnreplace.data.corpus import Corpus
from attnreplace.digest import digest_json, model_digest, tokenizer_digest
from attnreplace.errors import UserError
from attnreplace.hosts import ATTENTION_FREE, host_for
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
    """A model, what it reads with and the record of how it came to be."""

    path: Path
    model: PreTrainedModel
    tokenizer: Any
    """None for a model of images."""
    record: dict[str, Any]
    """`training.json`; empty for a model that this program did not train."""
    image_processor: Any = None
    """None for a model of text."""

    @cached_property
    def digest(self) -> str:
        """Digest of the weights."""
        return model_digest(self.model)

    @cached_property
    def tokenizer_digest(self) -> str:
        """Digest of the tokenizer, or of how images are scaled."""
        if self.image_processor is None:
            return tokenizer_digest(self.tokenizer)
        settings = self.image_processor.to_dict()
        return digest_json({name: value for name, value in settings.items() if value is not None})

    def require_corpus(self, corpus: AnyCorpus) -> None:
        """Check that the corpus is of the task and languages that the teacher was trained on.

        Raises:
            UserError: it is recorded and is not, as where a training that is to replace the teacher
                was cut short.
        """
        trained = self.record.get("corpus", {})
        # Records of translation name a pair, and the first of them no task.
        task = trained.get("task", "translation" if "pair" in trained else corpus.task)
        asked = {"task": corpus.task}
        if isinstance(corpus, Corpus):
            asked["pair"] = corpus.pair
        for name, value in asked.items():
            found = task if name == "task" else trained.get(name, value)
            if found != value:
                raise UserError(
                    f"the teacher in {self.path} was trained on {found} and the run is set to "
                    f"{value}; run `attnreplace train` with --overwrite to replace it, or with "
                    f"--{name} {found} to keep it"
                )

    @property
    def max_length(self) -> int:
        """Longest sentence in tokens, special ones included; tokens of an image."""
        teacher = self.record.get("config", {}).get("teacher", {})
        longest = None if self.image_processor else teacher.get("max_length")
        if not longest and self.model.config.model_type in ATTENTION_FREE:
            return int(self.model.config.positions)
        return int(longest or host_for(self.model).positions(self.model))

    def pixels(self, images: Sequence[np.ndarray]) -> Tensor:
        """Images as a model of images reads them, `(batch, channels, height, width)`.

        Args:
            images: uint8, each `(height, width, 3)`.
        """
        # Said outright: an image of few rows would be taken for one of few channels.
        made = self.image_processor(
            list(images), input_data_format="channels_last", return_tensors="pt"
        )
        return cast(Tensor, made["pixel_values"])


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
    file = path / "training.json"
    record = read_json(file, dict) if file.is_file() else {}
    with _one_line(path):
        if model.main_input_name == "pixel_values":
            return Teacher(
                path, model, None, record, load_image_processor(path, model.config.image_size)
            )
        return Teacher(path, model, AutoTokenizer.from_pretrained(path), record)


def load_image_processor(name: Path | str, image_size: int) -> Any:
    """The image processor of a model, in its form for Pillow.

    The library has a second form for torchvision, whose pixels differ a little: students would then
    depend on what else is installed.

    Args:
        name: a folder, or a name on the Hub.
        image_size: where a folder holds none, images are brought to this height and width, in
            pixels, and to -1 to 1.
    """
    folder, files = Path(name), ("preprocessor_config.json", "processor_config.json")
    if folder.is_dir() and not any((folder / file).is_file() for file in files):
        return ViTImageProcessorPil(size={"height": image_size, "width": image_size})
    settings, _ = ViTImageProcessorPil.get_image_processor_dict(name)
    kinds = (settings.get(f"{word}_type") for word in ("image_processor", "feature_extractor"))
    kind = next(filter(None, kinds), "ViTImageProcessor")
    kind = kind.removesuffix("Fast").replace("FeatureExtractor", "ImageProcessor")
    return getattr(transformers, f"{kind}Pil").from_pretrained(name)


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
