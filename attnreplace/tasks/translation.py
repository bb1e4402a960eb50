"""Translation: an encoder-decoder, compared by BLEU."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from attnreplace.errors import UserError
from attnreplace.tasks.base import Metric, Sections, Task
from attnreplace.teacher.build import PRESETS, TeacherConfig
from attnreplace.teacher.config import TRAINING_PRESETS, TrainingConfig
from attnreplace.teacher.pretrained_config import PretrainedConfig

if TYPE_CHECKING:
    from attnreplace.teacher.learners.translation import TranslationLearner

FINE_TUNING = {"epochs": 3, "learning_rate": 3e-5, "warmup_steps": 100}


class Translation(Task):
    """`[teacher] preset = "paper"` stands for the fields of that preset in both sections."""

    name = "translation"
    metric = Metric("bleu", "BLEU", higher_is_better=True)
    auto_class = "AutoModelForSeq2SeqLM"

    def sections(self, teacher: Mapping[str, Any]) -> Sections:
        """Without any field, the preset is "tiny"; with some, "paper"."""
        if "pretrained" in teacher:
            return Sections(PretrainedConfig, {"max_length": 50}, TrainingConfig, FINE_TUNING)
        preset = teacher.get("preset", "paper" if teacher else "tiny")
        if preset not in PRESETS:
            raise UserError(f"unknown preset {preset!r}; valid: {', '.join(PRESETS)}")
        return Sections(TeacherConfig, PRESETS[preset], TrainingConfig, TRAINING_PRESETS[preset])

    def learner(self, corpus: Any, teacher: Any, training: TrainingConfig) -> "TranslationLearner":
        """Cross-entropy over the target's tokens; validation translates."""
        from attnreplace.teacher.learners.translation import TranslationLearner

        return TranslationLearner(self, corpus, teacher, training)
