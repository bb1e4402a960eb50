"""Learning to fill in masked tokens, and to classify texts."""

import math
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
import transformers
from torch import Tensor
from transformers import PreTrainedModel

from attnreplace.data.batching import pad
from attnreplace.data.blocks import encode_texts
from attnreplace.data.masking import IGNORED, mask_blocks
from attnreplace.data.texts import TextCorpus
from attnreplace.data.tokenizer import train_tokenizer
from attnreplace.errors import UserError
from attnreplace.progress import Progress
from attnreplace.tasks.base import Task
from attnreplace.teacher.config import EncoderTrainingConfig
from attnreplace.teacher.encoders import EncoderConfig, library_config
from attnreplace.teacher.learners.base import Forward, Learner, similar_batches
from attnreplace.teacher.pretrained import load_for_task, load_reader
from attnreplace.teacher.pretrained_config import PretrainedConfig

VALIDATION_MASKS = 0
"""Seed of the masks in validation, the same for every training."""


class TextLearner(Learner):
    """What both have in common: rows of token ids."""

    def __init__(
        self,
        task: Task,
        corpus: TextCorpus,
        teacher: EncoderConfig | PretrainedConfig,
        training: EncoderTrainingConfig,
    ) -> None:
        self.task, self.corpus, self.shape, self.config = task, corpus, teacher, training
        if isinstance(teacher, PretrainedConfig):
            self.reader = load_reader(teacher.pretrained, "text")
        else:
            assert teacher.vocab_size is not None
            self.reader = train_tokenizer(corpus.train.lines, teacher.vocab_size, masked=True)
        assert teacher.max_length is not None
        train, self.validation = (
            encode_texts(self.reader, texts, teacher.max_length, task.name)
            for texts in (corpus.train, corpus.validation)
        )
        if not train:
            raise UserError("the training set holds no text; raise data.train_size")
        self.rows = train
        self.size = len(train)

    def build(self) -> PreTrainedModel:
        """Freshly initialised for the tokenizer, or loaded."""
        settings = self._head()
        if isinstance(self.shape, PretrainedConfig):
            return load_for_task(self.shape.pretrained, self.task, **settings)
        config = library_config(
            "text",
            self.shape,
            pad_token_id=self.reader.pad_token_id,
            bos_token_id=self.reader.bos_token_id,
            eos_token_id=self.reader.eos_token_id,
            **settings | {"vocab_size": len(self.reader)},
        )
        model: PreTrainedModel = getattr(transformers, self.task.auto_class).from_config(config)
        return model

    def batches(self, epoch: int) -> list[list[int]]:
        """Texts of similar length."""
        lengths = [len(row) for row in self.rows]
        return similar_batches(lengths, self.config.batch_size, self.config.seed, epoch)

    def validate(
        self, model: PreTrainedModel, forward: Forward, progress: Progress
    ) -> dict[str, float]:
        """Over all of the validation set."""
        examples = sorted(self._validation_examples(), key=lambda example: -len(example[0]))
        loss, right, weight, size = 0.0, 0, 0, self.config.batch_size
        for start in range(0, len(examples), size):
            batch = examples[start : start + size]
            logits, labels = self._predict(forward, batch)
            loss += float(F.cross_entropy(logits, labels, reduction="sum"))
            right += int((logits.argmax(1) == labels).sum())
            weight += self.weight(batch)
        return self._scores(loss / max(1, weight), right / max(1, weight))

    def loss(self, forward: Forward, examples: Sequence[Any]) -> Tensor:
        """Cross-entropy with label smoothing."""
        logits, labels = self._predict(forward, examples)
        smoothing = self.config.label_smoothing
        return F.cross_entropy(logits, labels, label_smoothing=smoothing, reduction="sum")

    def _read(self, forward: Forward, rows: Sequence[Sequence[int]]) -> Tensor:
        # Where a tokenizer names no padding any token will do: nothing looks at it.
        ids, mask = pad(rows, self.reader.pad_token_id or 0)
        logits: Tensor = forward(input_ids=ids, attention_mask=mask).logits
        return logits

    @abstractmethod
    def _head(self) -> dict[str, Any]:
        """Settings of the model's configuration that the head needs."""

    @abstractmethod
    def _validation_examples(self) -> list[Any]: ...

    @abstractmethod
    def _predict(self, forward: Forward, examples: Sequence[Any]) -> tuple[Tensor, Tensor]:
        """Float32 logits `(predictions, classes)` and labels `(predictions,)`."""

    @abstractmethod
    def _scores(self, loss: float, share_right: float) -> dict[str, float]: ...


class MaskedLMLearner(TextLearner):
    """Examples are blocks as they are read, and the labels of their tokens."""

    def _head(self) -> dict[str, Any]:
        return {}

    def prepare(self, batch: Sequence[int], epoch: int) -> list[tuple[list[int], list[int]]]:
        """Other masks every epoch."""
        seed = self.config.seed * 1_000_003 + epoch + 1 + VALIDATION_MASKS
        rows = [self.rows[index] for index in batch]
        return list(zip(*mask_blocks(rows, self.reader, seed, batch), strict=True))

    def weight(self, examples: Sequence[tuple[list[int], list[int]]]) -> int:
        """Masked tokens."""
        return sum(label != IGNORED for _, labels in examples for label in labels)

    def predicted(self, examples: Sequence[tuple[list[int], list[int]]]) -> Tensor:
        """The masked tokens, `(batch, seq)`."""
        return pad([labels for _, labels in examples], IGNORED)[0] != IGNORED

    def _validation_examples(self) -> list[Any]:
        masked = mask_blocks(self.validation, self.reader, VALIDATION_MASKS)
        return list(zip(*masked, strict=True))

    def _predict(self, forward: Forward, examples: Sequence[Any]) -> tuple[Tensor, Tensor]:
        labels, _ = pad([labels for _, labels in examples], IGNORED)
        masked = (labels.flatten() != IGNORED).nonzero().squeeze(1)
        logits = self._read(forward, [row for row, _ in examples])
        chosen = logits.flatten(0, 1)[masked.to(logits.device)]
        return chosen.float(), labels.flatten()[masked].to(logits.device)

    def _scores(self, loss: float, share_right: float) -> dict[str, float]:
        perplexity = math.exp(min(loss, 700.0))  # the greatest that a float holds
        return {"validation_loss": loss, "validation_perplexity": perplexity}


class ClassificationLearner(TextLearner):
    """Examples are texts and their classes."""

    def _head(self) -> dict[str, Any]:
        return class_names(self.corpus.classes)

    def prepare(self, batch: Sequence[int], epoch: int) -> list[tuple[list[int], int]]:
        """The same in every epoch."""
        labels = self.corpus.train.labels or []
        return [(self.rows[index], labels[index]) for index in batch]

    def weight(self, examples: Sequence[tuple[list[int], int]]) -> int:
        """Texts."""
        return len(examples)

    def predicted(self, examples: Sequence[tuple[list[int], int]]) -> Tensor:
        """Every text."""
        return torch.ones(len(examples), dtype=torch.bool)

    def _validation_examples(self) -> list[Any]:
        return list(zip(self.validation, self.corpus.validation.labels or [], strict=True))

    def _predict(self, forward: Forward, examples: Sequence[Any]) -> tuple[Tensor, Tensor]:
        logits = self._read(forward, [row for row, _ in examples])
        labels = torch.tensor([label for _, label in examples])
        return logits.float(), labels.to(logits.device)

    def _scores(self, loss: float, share_right: float) -> dict[str, float]:
        return {"validation_loss": loss, "validation_accuracy": 100 * share_right}


def class_names(classes: Sequence[str]) -> dict[str, Any]:
    """The settings of a classifier."""
    return {
        "id2label": dict(enumerate(classes)),
        "label2id": {name: index for index, name in enumerate(classes)},
    }
