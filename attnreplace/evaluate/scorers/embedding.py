"""Sentence embeddings: how close a system's are to the teacher's.

For models whose states are what they are used for, such as MiniLM: the mean of the last states over
all tokens of a sentence, as the models of Sentence-BERT (Reimers and Gurevych 2019) pool them.
"""

from functools import cached_property
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from transformers import PreTrainedModel

from attnreplace.evaluate.record import OverLong
from attnreplace.evaluate.scorers.base import Outcome, Scorer, Setup
from attnreplace.evaluate.scorers.reading import mean_length, read, text_rows
from attnreplace.evaluate.systems import Candidate
from attnreplace.hosts import base_model
from attnreplace.progress import NullProgress, Progress, Task


class Embedding(Scorer):
    """Cosine similarity to the teacher's embedding, mean over the sentences."""

    metric, tasks = "similarity", ("mlm", "classification")

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        self._teachers: dict[str, Tensor] = {}

    def inputs(self, candidate: Candidate) -> dict[str, Any]:
        """Where sentences are cut off."""
        return {"scoring": [self.metric, "mean", self.setup.config.over_long, candidate.limit]}

    def score(
        self,
        candidate: Candidate,
        model: PreTrainedModel,
        test_set: str,
        task: Task,
        progress: Progress,
    ) -> Outcome:
        """Embed and compare."""
        if test_set not in self._teachers:
            limit, teacher = self.setup.teacher.max_length, self.setup.teacher.model
            with NullProgress().task("", None) as silent:
                self._teachers[test_set] = self._embed(teacher, test_set, limit, silent)[0]
        embeddings, over_long = self._embed(model, test_set, candidate.limit, task)
        each = F.cosine_similarity(embeddings, self._teachers[test_set], dim=1)
        mean = float(each.mean())
        task.advance(0, similarity=mean)
        return Outcome(
            {"similarity": {"score": mean, "signature": "cosine|pooling:mean"}},
            {"task": self.setup.corpus.task, "metric": self.metric, "over_long": over_long},
            ({"similarity": value} for value in each.tolist()),
        )

    @cached_property
    def mean_tokens(self) -> int:
        """Mean length of the sentences."""
        texts = next(iter(self.setup.corpus.tests.values()))
        rows, _ = text_rows(self.setup, texts.lines, self.setup.teacher.max_length)
        return mean_length(rows.lengths)

    def _embed(
        self, model: PreTrainedModel, test_set: str, limit: int, task: Task
    ) -> tuple[Tensor, OverLong]:
        """Embeddings of all sentences, float64 `(sentences, d_model)`."""
        lines = self.setup.corpus.tests[test_set].lines
        examples, over_long = text_rows(self.setup, lines, limit)
        found: list[Tensor] = [torch.empty(0)] * len(lines)
        batches = read(base_model(model), examples, self.setup.config.batch_tokens, task)
        for rows, batch, said in batches:
            pooled = mean_pool(said.last_hidden_state, batch["attention_mask"])
            for row, vector in zip(rows, pooled.double().cpu(), strict=True):
                found[row] = vector
        return torch.stack(found), over_long


def mean_pool(states: Tensor, mask: Tensor) -> Tensor:
    """The mean over the real tokens, `(batch, d_model)`.

    Args:
        states: `(batch, seq, d_model)`; of no account at padding.
        mask: 1 at real tokens, `(batch, seq)`.
    """
    real = mask.unsqueeze(2).bool()
    return states.masked_fill(~real, 0).sum(1) / real.sum(1).clamp(min=1)
