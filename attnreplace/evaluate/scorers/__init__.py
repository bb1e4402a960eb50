"""Scorers: what a task's systems are judged by, one file a family of tasks.

To add one: a subclass of `Scorer` in a file here, its entry in `SCORERS` below, its option in
`cli/evaluate.py`, and how the score is written in `attnreplace/report/metrics.py`.
"""

from attnreplace.errors import UserError
from attnreplace.evaluate.scorers.base import Outcome, Scorer, Setup
from attnreplace.evaluate.scorers.classification import Classification
from attnreplace.evaluate.scorers.embedding import Embedding
from attnreplace.evaluate.scorers.masked import MaskedLanguageModelling
from attnreplace.evaluate.scorers.translation import Translation

SCORERS: tuple[type[Scorer], ...] = (
    Translation,
    Classification,
    MaskedLanguageModelling,
    Embedding,
)
"""By their order of preference where a task has several."""

__all__ = ["SCORERS", "Outcome", "Scorer", "Setup", "scorers_for"]


def scorers_for(setup: Setup, metric: str | None = None) -> list[Scorer]:
    """The scorers of a run.

    Args:
        setup: the run's teacher, corpus and configuration.
        metric: a `Scorer.metric`; None: the task's own, that of embeddings for a model of text
            without a head.

    Raises:
        UserError: the task has no such metric, or the teacher cannot be scored by it.
    """
    task, model = setup.corpus.task, setup.teacher.model
    known = {scorer.metric: scorer for scorer in SCORERS if task in scorer.tasks}
    if metric is None:
        bare = Embedding.metric in known and model.base_model is model
        metric = Embedding.metric if bare else next(iter(known))
    if metric not in known:
        raise UserError(
            f"systems of the task {task} have no {metric}; use "
            f"{' or '.join(f'--{name}' for name in known)}"
        )
    return known[metric].all(setup)
