"""Forced passes: what models predict where everything up to it is given, with students swapped."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel
from transformers.modeling_outputs import BaseModelOutput

from attnreplace.hosts import Site
from attnreplace.tasks import get_task
from attnreplace.teacher.learners.base import Learner
from attnreplace.teacher.load import Teacher
from attnreplace.teacher.pretrained_config import PretrainedConfig


@dataclass(frozen=True)
class Asked:
    """A batch, and what a model predicts."""

    inputs: dict[str, Any]
    """What the model is called with, on its device."""
    logits: Tensor
    """`(..., classes)`."""
    predicted: Tensor
    """Which of them count, `(...)` bool."""
    memory: Tensor | None
    """What leaves the encoder of an encoder-decoder, `(batch, seq, d_model)`."""


def forced_learner(
    teacher: Teacher, corpus: Any, examples: Any, limit: int, training: Any
) -> Learner:
    """What knows the batches of some examples, and what models are called with for them.

    Args:
        teacher: reads the examples.
        corpus: of its task.
        examples: of the kind that the corpus is trained on.
        limit: most tokens of an example.
        training: says how large batches are.

    Raises:
        UserError: no example has so few tokens.
    """
    shape = PretrainedConfig(str(teacher.path), max_length=limit)
    learner = get_task(corpus.task).learner(replace(corpus, train=examples), shape, training)
    learner.meet(teacher.model)
    return learner


@torch.no_grad()
def ask(model: PreTrainedModel, learner: Learner, batch: Sequence[int]) -> Asked:
    """What a model predicts of a batch of a learner's examples."""
    examples, seen = learner.prepare(batch, 0), dict[str, Any]()

    def forward(**inputs: Any) -> Any:
        seen["inputs"] = {
            name: value.to(model.device) if isinstance(value, Tensor) else value
            for name, value in inputs.items()
        }
        seen["said"] = model(**seen["inputs"])
        return seen["said"]

    # What is learnt from a batch knows what the model has to be called with for it.
    learner.loss(forward, examples)
    said, predicted = seen["said"], learner.predicted(examples).to(model.device)
    memory = getattr(said, "encoder_last_hidden_state", None)
    return Asked(seen["inputs"], said.logits, predicted, memory)


@torch.no_grad()
def predict(model: PreTrainedModel, asked: Asked, site: Site) -> Tensor:
    """Logits as in `Asked`, of the same model with something else at a site.

    The encoder is left out where that changes nothing in it.
    """
    inputs = dict(asked.inputs)
    if site.stack == "decoder":
        del inputs["input_ids"]
        inputs["encoder_outputs"] = BaseModelOutput(last_hidden_state=asked.memory)
    logits: Tensor = model(**inputs).logits
    return logits
