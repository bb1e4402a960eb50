"""What the training loop asks of a task."""

import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from torch import Tensor, nn
from transformers import PreTrainedModel

from attnreplace.progress import Progress

Forward = Callable[..., Any]
"""The network of the loop: takes the model's inputs by keyword, moves them to the device, and
gives the model's output."""


POOL = 50
"""Batches' worth of examples that are sorted by length together."""


class Learner(ABC):
    """The data of one training and what is learnt from it.

    All that it draws follows from the seed and the epoch, or from torch's generator, which the loop
    seeds before every update.
    """

    reader: Any
    """The tokenizer or image processor, saved with the model."""
    size: int
    """Examples that are trained on."""

    @abstractmethod
    def build(self) -> PreTrainedModel:
        """The model before training; called once, torch's generator being seeded."""

    def meet(self, model: PreTrainedModel) -> None:
        """Take from the model that is trained, whoever built it, what its inputs depend on."""
        return None

    @abstractmethod
    def batches(self, epoch: int) -> list[list[int]]:
        """Indices of the examples in every batch of an epoch (from 0), as many in each epoch."""

    @abstractmethod
    def prepare(self, batch: Sequence[int], epoch: int) -> list[Any]:
        """The examples of a batch as they are in this epoch; processes share the list."""

    @abstractmethod
    def weight(self, examples: Sequence[Any]) -> int:
        """What the loss of these examples is divided by: how many things are predicted."""

    @abstractmethod
    def predicted(self, examples: Sequence[Any]) -> Tensor:
        """Which of the model's logits the loss is of: bool, their shape without the classes."""

    @abstractmethod
    def loss(self, forward: Forward, examples: Sequence[Any]) -> Tensor:
        """The loss in training, summed over what is predicted; a scalar."""

    @abstractmethod
    def validate(
        self, model: PreTrainedModel, forward: Forward, progress: Progress
    ) -> dict[str, float]:
        """`validation_loss` and `validation_<metric>`; the model is in eval mode."""

    def begin(self, network: nn.Module, epoch: int) -> None:
        """Make the network ready for an epoch."""
        network.train()

    def withheld(self, epoch: int) -> Iterable[nn.Parameter]:
        """Weights that have gradients but are not to change in an epoch."""
        return ()

    def record(self, model: PreTrainedModel) -> dict[str, Any]:
        """What the record of the training says besides."""
        return {}

    def parameter_groups(self, model: PreTrainedModel, decay: float) -> list[dict[str, Any]]:
        """For the optimiser: norms and biases do not decay."""
        exempt = {
            id(parameter)
            for module in model.modules()
            for name, parameter in module.named_parameters(recurse=False)
            if isinstance(module, nn.LayerNorm) or name == "bias"
        }
        parameters = list(model.parameters())
        return [
            {"params": [p for p in parameters if id(p) not in exempt], "weight_decay": decay},
            {"params": [p for p in parameters if id(p) in exempt], "weight_decay": 0.0},
        ]


def similar_batches(lengths: Sequence[int], size: int, seed: int, epoch: int) -> list[list[int]]:
    """All examples in random order, `size` of similar length in a batch, one batch smaller.

    Args:
        lengths: of every example.
        size: of a batch.
        seed: with the epoch, gives the order.
        epoch: from 0.
    """
    generator = random.Random(f"{seed}/{epoch}")
    order = list(range(len(lengths)))
    generator.shuffle(order)
    pool = size * POOL
    pools = (order[start : start + pool] for start in range(0, len(order), pool))
    order = [index for part in pools for index in sorted(part, key=lambda index: lengths[index])]
    batches = [order[start : start + size] for start in range(0, len(order), size)]
    generator.shuffle(batches)
    return batches
