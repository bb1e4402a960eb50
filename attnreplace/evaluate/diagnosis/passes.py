"""Passes of a system and its teacher over the references of a test set."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from attnreplace.evaluate.diagnosis.bins import Bins
from attnreplace.evaluate.diagnosis.record import SiteMeans
from attnreplace.evaluate.diagnosis.sums import (
    Sums,
    compared,
    divergences,
    log_probabilities,
)
from attnreplace.evaluate.forced import ask, predict
from attnreplace.hosts import GROUPS, Site
from attnreplace.progress import Task
from attnreplace.splice.swap import given_back, swapped
from attnreplace.teacher.learners.base import Learner
from attnreplace.tune.watch import methods_at, replacements

Pair = tuple[list[int], list[int]]
"""Tokens of a source and of its reference."""


@dataclass(frozen=True)
class Measured:
    """What came out of the passes."""

    positions: Sums
    lengths: Sums
    sites: list[SiteMeans]


def measure(
    model: PreTrainedModel,
    teacher: PreTrainedModel,
    learner: Learner,
    positions: Bins,
    lengths: Bins,
    by_site: bool,
    task: Task,
) -> Measured:
    """Compare a system with its teacher: as it is, and site by site.

    Args:
        model: the system, in eval mode.
        teacher: on the same device.
        learner: of the pairs.
        positions: bins of target positions.
        lengths: bins of source lengths.
        by_site: whether each student is also looked at alone in the teacher, and taken out of the
            system; that means something where all else is the teacher's.
        task: counts the pairs.
    """
    students: dict[Site, Any] = replacements(model) if by_site else {}
    found = Measured(Sums(positions), Sums(lengths), [])
    sites = sorted(students, key=lambda site: (GROUPS.index(site.group), site))
    totals = {site: [0.0, 0.0] for site in sites}
    for batch in learner.batches(0):
        theirs, ours = (ask(one, learner, batch) for one in (teacher, model))
        real = theirs.predicted
        target = log_probabilities(theirs.logits[real])
        _add(found, learner.prepare(batch, 0), log_probabilities(ours.logits[real]), target)
        for site, both in totals.items():
            student: nn.Module = students[site].student
            with swapped(teacher, methods_at(model)[site].name, {site: student}):
                both[0] += _divergence(predict(teacher, theirs, site)[real], target)
            with given_back(model, teacher, site):
                both[1] += _divergence(predict(model, ours, site)[real], target)
        task.advance(len(batch))
    tokens = found.positions.overall()["tokens"]
    for site, (alone, without) in totals.items():
        found.sites.append(
            {
                "site": str(site),
                "alone": _mean(alone, tokens),
                "given_back": _mean(without, tokens),
            }
        )
    return found


def differs_in_students_alone(model: PreTrainedModel, teacher: PreTrainedModel) -> bool:
    """Whether all of the teacher's weights that a spliced model has are as they were."""
    own = model.state_dict()
    return all(
        torch.equal(own[name].to(weight), weight)
        for name, weight in teacher.state_dict().items()
        if name in own
    )


def _add(found: Measured, pairs: Sequence[Pair], ours: Tensor, theirs: Tensor) -> None:
    """One batch as it is: log-probabilities of its tokens, `(tokens, classes)`."""
    # In the order in which a mask takes tokens out of a batch.
    labels = torch.tensor([token for _, target in pairs for token in target])
    places = torch.tensor([i + 1 for _, target in pairs for i in range(len(target))])
    sources = torch.tensor([len(source) for source, target in pairs for _ in target])
    each = compared(ours, theirs, labels.to(ours.device))
    found.positions.add(places, each)
    found.lengths.add(sources, each)


def _divergence(logits: Tensor, theirs: Tensor) -> float:
    """Of a model in which something was swapped, summed over the tokens of a batch."""
    return float(divergences(log_probabilities(logits), theirs).sum())


def _mean(total: float, tokens: int) -> float | None:
    return max(0.0, total / tokens) if math.isfinite(total) else None
