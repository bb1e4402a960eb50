"""What tasks of an encoder alone have in common."""

from collections.abc import Mapping
from typing import Any, ClassVar

from attnreplace.errors import UserError
from attnreplace.tasks.base import Sections, Task
from attnreplace.teacher.config import EncoderTrainingConfig
from attnreplace.teacher.encoders import EncoderConfig, named_shape
from attnreplace.teacher.pretrained_config import PretrainedConfig

FINE_TUNING = {"epochs": 3, "batch_size": 32, "learning_rate": 3e-5, "warmup_steps": 100}


class EncoderTask(Task):
    """`[teacher] model = "gmlp-ti"` stands for the fields of the model of that name."""

    reads: ClassVar[str]
    """"text" or "image"."""
    recipe: ClassVar[Mapping[str, Any]]
    """Training from scratch."""
    distill: ClassVar[Mapping[str, Any]] = {}
    """Distillation."""

    def sections(self, teacher: Mapping[str, Any]) -> Sections:
        """Without a model, the one that has attention to replace."""
        if "pretrained" in teacher:
            return Sections(PretrainedConfig, {}, EncoderTrainingConfig, FINE_TUNING, self.distill)
        if "preset" in teacher:
            raise UserError(f"presets are for translation; name a model for the task {self.name}")
        shape = named_shape(self.reads, teacher.get("model"), teacher)
        return Sections(EncoderConfig, shape, EncoderTrainingConfig, self.recipe, self.distill)

    def complete(self, teacher: Any) -> Any:
        """Named models in full, so that they are known by the same digest however given."""
        if isinstance(teacher, EncoderConfig):
            shape = named_shape(self.reads, teacher.model, teacher.given)
            return EncoderConfig(**shape | teacher.given)
        return teacher
