"""Masked language modelling, compared by the perplexity of masked tokens."""

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from attnreplace.tasks.base import Metric, Sections
from attnreplace.tasks.encoder import EncoderTask

if TYPE_CHECKING:
    from attnreplace.teacher.learners.texts import MaskedLMLearner

TINY = "bert-tiny"
"""The model of the embedded sentences, and of all text where no model is named."""
TINY_RECIPE = {
    "epochs": 6,
    # Small batches: what is learnt first, where to look, takes updates rather than text.
    "batch_size": 16,
    "learning_rate": 3e-3,
    "warmup_steps": 100,
    "beta2": 0.98,
}


class MaskedLM(EncoderTask):
    """Blocks of running text in which tokens are masked."""

    name = "mlm"
    metric = Metric("perplexity", "perplexity", higher_is_better=False)
    auto_class = "AutoModelForMaskedLM"
    reads = "text"
    recipe = {"epochs": 10, "batch_size": 64, "learning_rate": 3e-3, "beta2": 0.98}  # noqa: RUF012

    def sections(self, teacher: Mapping[str, Any]) -> Sections:
        """Without a model, one that learns the embedded sentences in minutes."""
        if "pretrained" in teacher or teacher.get("model", TINY) != TINY:
            return super().sections(teacher)
        return replace(super().sections({**teacher, "model": TINY}), recipe=TINY_RECIPE)

    def learner(self, corpus: Any, teacher: Any, training: Any) -> "MaskedLMLearner":
        """Cross-entropy over masked tokens: other ones every epoch, the same in validation."""
        from attnreplace.teacher.learners.texts import MaskedLMLearner

        return MaskedLMLearner(self, corpus, teacher, training)
