"""Classification of texts, compared by accuracy."""

from typing import TYPE_CHECKING, Any

from attnreplace.tasks.base import Metric
from attnreplace.tasks.encoder import EncoderTask

if TYPE_CHECKING:
    from attnreplace.teacher.learners.texts import ClassificationLearner


class Classification(EncoderTask):
    """One class a text."""

    name = "classification"
    metric = Metric("accuracy", "accuracy", higher_is_better=True)
    auto_class = "AutoModelForSequenceClassification"
    reads = "text"
    recipe = {"epochs": 5, "batch_size": 32, "learning_rate": 1e-3}  # noqa: RUF012

    def learner(self, corpus: Any, teacher: Any, training: Any) -> "ClassificationLearner":
        """Cross-entropy over the texts."""
        from attnreplace.teacher.learners.texts import ClassificationLearner

        return ClassificationLearner(self, corpus, teacher, training)
