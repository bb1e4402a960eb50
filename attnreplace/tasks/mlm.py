"""Masked language modelling, compared by the perplexity of masked tokens."""

from typing import TYPE_CHECKING, Any

from attnreplace.tasks.base import Metric
from attnreplace.tasks.encoder import EncoderTask

if TYPE_CHECKING:
    from attnreplace.teacher.learners.texts import MaskedLMLearner


class MaskedLM(EncoderTask):
    """Blocks of running text in which tokens are masked."""

    name = "mlm"
    metric = Metric("perplexity", "perplexity", higher_is_better=False)
    auto_class = "AutoModelForMaskedLM"
    reads = "text"
    recipe = {"epochs": 10, "batch_size": 64, "learning_rate": 3e-3, "beta2": 0.98}  # noqa: RUF012

    def learner(self, corpus: Any, teacher: Any, training: Any) -> "MaskedLMLearner":
        """Cross-entropy over masked tokens: other ones every epoch, the same in validation."""
        from attnreplace.teacher.learners.texts import MaskedLMLearner

        return MaskedLMLearner(self, corpus, teacher, training)
