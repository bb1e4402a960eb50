"""How far a model goes from its teacher with one student in it.

The Kullback-Leibler divergence of what the model predicts from what the teacher predicts, on
validation data: of every token of the references, given those before it; of masked tokens; of
classes. The teacher is asked once a batch for all students, which take their places one after the
other in one model; of its predictions a single batch is held at a time.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import psutil
import torch
from transformers import PreTrainedModel

from attnreplace.evaluate.forced import Asked, ask, predict
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
                _add(model, ask(model, learner, batches[number]), behind, loaded, task)
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
            logits = predict(model, asked, site)
        entry.total += float(divergence(logits, asked.logits, asked.predicted, 1.0))
        entry.batches += 1
        task.advance(1)


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
