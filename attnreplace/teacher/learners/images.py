"""Learning to classify images."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
import transformers
from torch import Tensor
from transformers import PreTrainedModel, ViTImageProcessorPil

from attnreplace.data.images import ImageCorpus
from attnreplace.errors import UserError
from attnreplace.progress import Progress
from attnreplace.tasks.base import Task
from attnreplace.teacher.augment import augmentation, mixup
from attnreplace.teacher.config import EncoderTrainingConfig
from attnreplace.teacher.encoders import EncoderConfig, default_patch, library_config
from attnreplace.teacher.learners.base import Forward, Learner, similar_batches
from attnreplace.teacher.learners.texts import class_names
from attnreplace.teacher.pixels import Pixels, normalise
from attnreplace.teacher.pretrained import load_for_task, load_reader
from attnreplace.teacher.pretrained_config import PretrainedConfig

Example = tuple[Tensor, int]
"""Pixels, uint8 `(3, height, width)`, and the class."""


class ImageLearner(Learner):
    """Cross-entropy over augmented and mixed images."""

    def __init__(
        self,
        task: Task,
        corpus: ImageCorpus,
        teacher: EncoderConfig | PretrainedConfig,
        training: EncoderTrainingConfig,
    ) -> None:
        self.task, self.corpus, self.shape, self.config = task, corpus, teacher, training
        if not len(corpus.train):
            raise UserError("the training set holds no image; raise data.train_size")
        self.augment = augmentation(training.augment)
        if isinstance(teacher, PretrainedConfig):
            self.reader = load_reader(teacher.pretrained, "image")
        else:
            self.side = teacher.image_size or len(corpus.train.array(0))
            size = {"height": self.side, "width": self.side}
            self.reader = ViTImageProcessorPil(size=size)
        self.train = Pixels(corpus.train, self.reader)
        self.validation = Pixels(corpus.validation, self.reader)
        self.size = len(corpus.train)

    def build(self) -> PreTrainedModel:
        """Freshly initialised for the images and their classes, or loaded."""
        settings = class_names(self.corpus.classes)
        if isinstance(self.shape, PretrainedConfig):
            return load_for_task(self.shape.pretrained, self.task, **settings)
        settings["image_size"] = self.side
        settings["patch_size"] = self.shape.patch_size or default_patch(self.side)
        config = library_config("image", self.shape, **settings)
        model: PreTrainedModel = getattr(transformers, self.task.auto_class).from_config(config)
        return model

    def batches(self, epoch: int) -> list[list[int]]:
        """In random order."""
        lengths = [1] * self.size
        return similar_batches(lengths, self.config.batch_size, self.config.seed, epoch)

    def prepare(self, batch: Sequence[int], epoch: int) -> list[Example]:
        """The images as they are; they are augmented as they are learnt from."""
        labels = self.corpus.train.labels
        return [(pixels, labels[i]) for pixels, i in zip(self.train(batch), batch, strict=True)]

    def weight(self, examples: Sequence[Example]) -> int:
        """Images."""
        return len(examples)

    def predicted(self, examples: Sequence[Example]) -> Tensor:
        """Every image."""
        return torch.ones(len(examples), dtype=torch.bool)

    def loss(self, forward: Forward, examples: Sequence[Example]) -> Tensor:
        """Cross-entropy with label smoothing."""
        pixels = self.augment(torch.stack([pixels for pixels, _ in examples]))
        labels = torch.tensor([label for _, label in examples])
        images = normalise(pixels, self.reader)
        targets = F.one_hot(labels, len(self.corpus.classes)).float()
        if self.config.mixup:
            images, targets = mixup(images, targets, self.config.mixup)
        logits = forward(pixel_values=images).logits
        return F.cross_entropy(
            logits.float(),
            targets.to(logits.device),
            label_smoothing=self.config.label_smoothing,
            reduction="sum",
        )

    def validate(
        self, model: PreTrainedModel, forward: Forward, progress: Progress
    ) -> dict[str, float]:
        """Over all of the validation set, as it is."""
        labels = torch.tensor(self.corpus.validation.labels)
        loss, right, size = 0.0, 0, self.config.batch_size
        for start in range(0, len(labels), size):
            batch = range(start, min(start + size, len(labels)))
            images = normalise(self.validation(batch), self.reader)
            logits = forward(pixel_values=images).logits.float()
            wanted = labels[start : start + size].to(logits.device)
            loss += float(F.cross_entropy(logits, wanted, reduction="sum"))
            right += int((logits.argmax(1) == wanted).sum())
        count = max(1, len(labels))
        return {"validation_loss": loss / count, "validation_accuracy": 100 * right / count}
