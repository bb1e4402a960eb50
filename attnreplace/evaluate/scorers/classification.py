"""Classification of images and of texts: accuracy and mean cross-entropy over a whole test set."""

from functools import cached_property
from typing import Any

import torch
from torch.nn import functional as F
from transformers import PreTrainedModel

from attnreplace.data.images import ImageCorpus
from attnreplace.errors import UserError
from attnreplace.evaluate.record import OverLong
from attnreplace.evaluate.scorers.base import Outcome, Scorer, Setup
from attnreplace.evaluate.scorers.reading import (
    Examples,
    Pictures,
    mean_length,
    read,
    text_rows,
)
from attnreplace.evaluate.systems import Candidate
from attnreplace.progress import Progress, Task


class Classification(Scorer):
    """Counts the examples whose class has the greatest logit; of equals the first."""

    metric, tasks = "accuracy", ("image", "classification")

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        model, classes = setup.teacher.model, setup.corpus.classes
        if model.base_model is model:
            raise UserError(
                f"the teacher in {setup.teacher.path} has no classifier; train one with "
                "`attnreplace train`, or compare embeddings of texts with `attnreplace eval "
                "--similarity`"
            )
        self.columns = class_columns(model, classes)

    def inputs(self, candidate: Candidate) -> dict[str, Any]:
        """Images have no limit that could cut them off."""
        if isinstance(self.setup.corpus, ImageCorpus):
            return {"scoring": [self.metric]}
        return {"scoring": [self.metric, self.setup.config.over_long, candidate.limit]}

    def score(
        self,
        candidate: Candidate,
        model: PreTrainedModel,
        test_set: str,
        task: Task,
        progress: Progress,
    ) -> Outcome:
        """Classify and count."""
        split = self.setup.corpus.tests[test_set]
        if split.labels is None:
            raise UserError(f"the test set {test_set} has no labels; accuracy needs them")
        examples, over_long = self._examples(test_set, candidate.limit)
        labels = torch.tensor(split.labels)
        predictions = torch.empty_like(labels)
        losses = torch.empty(len(labels), dtype=torch.float64)
        for rows, _, said in read(model, examples, self.setup.config.batch_tokens, task):
            logits = said.logits[:, self.columns].float().cpu()
            predictions[rows] = logits.argmax(1)
            losses[rows] = F.cross_entropy(logits, labels[rows], reduction="none").double()
        accuracy = 100 * float((predictions == labels).double().mean())
        task.advance(0, accuracy=accuracy)
        fields: dict[str, Any] = {"task": self.setup.corpus.task, "metric": self.metric}
        if over_long is not None:
            fields["over_long"] = over_long
        return Outcome(
            {"accuracy": {"score": accuracy}, "cross_entropy": {"score": float(losses.mean())}},
            fields,
            (
                {"label": label, "prediction": prediction}
                for label, prediction in zip(split.labels, predictions.tolist(), strict=True)
            ),
        )

    @cached_property
    def mean_tokens(self) -> int:
        """Every image has as many."""
        first = next(iter(self.setup.corpus.tests))
        return mean_length(self._examples(first, self.setup.teacher.max_length)[0].lengths)

    def _examples(self, test_set: str, limit: int) -> tuple[Examples, OverLong | None]:
        corpus = self.setup.corpus
        if isinstance(corpus, ImageCorpus):
            return Pictures(corpus.tests[test_set], self.setup.teacher), None
        return text_rows(self.setup, corpus.tests[test_set].lines, limit)


def class_columns(model: PreTrainedModel, classes: list[str]) -> list[int]:
    """The column of the logits for each class of a corpus.

    A model that names its classes as the corpus does may have them in another order.

    Raises:
        UserError: the model tells another number of classes apart.
    """
    count = model.config.num_labels
    if count != len(classes):
        raise UserError(
            f"the teacher tells {count} classes apart and the corpus has {len(classes)}; choose "
            "data of the teacher's classes, or train the teacher on these"
        )
    columns = {str(name): int(index) for index, name in (model.config.id2label or {}).items()}
    if columns.keys() == set(classes):
        return [columns[name] for name in classes]
    return list(range(count))
