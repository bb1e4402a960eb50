"""How far a model goes from its teacher with one student in it.

The Kullback-Leibler divergence of what the model predicts from what the teacher predicts, on
validation data: of every token of the references, given those before it; of masked tokens; of
classes. The teacher is asked once a batch for all students, which take their places one after the
other in one model; of its predictions a single batch is held at a time.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import torch
from torch import Tensor
from transformers import PreTrainedModel
from transformers.modeling_outputs import BaseModelOutput

from attnreplace.hosts import Site
from attnreplace.progress import Progress, Task
from attnreplace.search.scores import Scores, StudentScore
from attnreplace.splice.bundle import BundleConfig, load_bundle
from attnreplace.splice.swap import swapped
from attnreplace.students import Student
from attnreplace.teacher.learners.base import Learner
from attnreplace.tune.losses import divergence

Loaded = tuple[BundleConfig, dict[Site, Student]]

FREE = 0.5
"""The share of the free memory that students may take at a time."""


@dataclass(frozen=True)
class Asked:
    """A batch, and what the teacher predicts."""

    inputs: dict[str, Any]
    """What the model is called with, on its device."""
    logits: Tensor
    """`(..., classes)`."""
    predicted: Tensor
    """Which of them count, `(...)` bool."""
    memory: Tensor | None
    """What leaves the encoder of an encoder-decoder, `(batch, seq, d_model)`."""


def score_students(
    model: PreTrainedModel,
    learner: Learner,
    bundles: Mapping[str, BundleConfig],
    students: Path,
    scores: Scores,
    wanted: Sequence[StudentScore],
    progress: Progress,
) -> None:
    """Fill in the divergences that are missing; what is done is written after every batch.

    Args:
        model: the teacher's, in eval mode.
        learner: of the task; what it trains on is the validation data.
        bundles: by name.
        students: the folder of the bundles.
        scores: written to.
        wanted: its entries to fill in.
        progress: one task, counted in students and batches.

    Raises:
        UserError: a bundle is damaged.
    """
    missing = [entry for entry in wanted if entry.divergence is None]
    if not missing:
        return
    batches = learner.batches(0)
    predictions = sum(learner.weight(learner.prepare(batch, 0)) for batch in batches)
    left = sum(len(batches) - entry.batches for entry in missing)
    names = dict.fromkeys(entry.bundle for entry in missing)
    with progress.task(f"{len(missing)} students, alone", left) as task:
        for load in _loads({name: bundles[name] for name in names}, model.device):
            entries = [entry for entry in missing if entry.bundle in load]
            loaded = {name: load_bundle(students / name) for name in load}
            for number in range(min(entry.batches for entry in entries), len(batches)):
                behind = [entry for entry in entries if entry.batches <= number]
                _add(model, _ask(model, learner, batches[number]), behind, loaded, task)
                if number + 1 == len(batches):
                    for entry in entries:
                        entry.finish(predictions)
                scores.save()
            del loaded  # before the next ones come


def _add(
    model: PreTrainedModel,
    asked: Asked,
    entries: Sequence[StudentScore],
    loaded: Mapping[str, Loaded],
    task: Task,
) -> None:
    """The divergences on one batch, added to the entries."""
    for entry in entries:
        site, (config, students) = Site.parse(entry.site), loaded[entry.bundle]
        with swapped(model, config.method, {site: students[site]}):
            logits = _predict(model, asked, site)
        entry.total += float(divergence(logits, asked.logits, asked.predicted, 1.0))
        entry.batches += 1
        task.advance(1)


@torch.no_grad()
def _ask(model: PreTrainedModel, learner: Learner, batch: Sequence[int]) -> Asked:
    examples, seen = learner.prepare(batch, 0), dict[str, Any]()

    def ask(**inputs: Any) -> Any:
        seen["inputs"] = {
            name: value.to(model.device) if isinstance(value, Tensor) else value
            for name, value in inputs.items()
        }
        seen["said"] = model(**seen["inputs"])
        return seen["said"]

    # What is learnt from a batch knows what the model has to be called with for it.
    learner.loss(ask, examples)
    said, predicted = seen["said"], learner.predicted(examples).to(model.device)
    memory = getattr(said, "encoder_last_hidden_state", None)
    return Asked(seen["inputs"], said.logits, predicted, memory)


@torch.no_grad()
def _predict(model: PreTrainedModel, asked: Asked, site: Site) -> Tensor:
    """Logits as in `Asked`, the encoder left out where it is the teacher's."""
    inputs = dict(asked.inputs)
    if site.stack == "decoder":
        del inputs["input_ids"]
        inputs["encoder_outputs"] = BaseModelOutput(last_hidden_state=asked.memory)
    logits: Tensor = model(**inputs).logits
    return logits


def _loads(bundles: Mapping[str, BundleConfig], device: torch.device) -> Iterator[list[str]]:
    """Names of bundles that the memory holds together."""
    room: float = psutil.virtual_memory().available
    if device.type == "cuda":
        room = torch.cuda.mem_get_info(device)[0]
    load, taken = list[str](), 0
    for name, bundle in bundles.items():
        size = 4 * sum(student.num_parameters() for student in bundle.students.values())
        if load and taken + size > FREE * room:
            yield load
            load, taken = [], 0
        load.append(name)
        taken += size
    yield load
