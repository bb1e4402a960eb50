"""Classification of images, compared by accuracy."""

from typing import TYPE_CHECKING, Any

from attnreplace.tasks.base import Metric
from attnreplace.tasks.encoder import EncoderTask

if TYPE_CHECKING:
    from attnreplace.teacher.learners.images import ImageLearner


class Image(EncoderTask):
    """One class an image."""

    name = "image"
    metric = Metric("accuracy", "accuracy", higher_is_better=True)
    auto_class = "AutoModelForImageClassification"
    reads = "image"
    recipe = {"epochs": 40, "batch_size": 64, "learning_rate": 2e-3}  # noqa: RUF012

    distill = {"epochs": 40}  # noqa: RUF012  (a pass over the digits is ten batches)

    def learner(self, corpus: Any, teacher: Any, training: Any) -> "ImageLearner":
        """Cross-entropy over the images, augmented as the recipe says."""
        from attnreplace.teacher.learners.images import ImageLearner

        return ImageLearner(self, corpus, teacher, training)
