"""How the teacher is trained."""

from dataclasses import dataclass
from typing import Any

from attnreplace.errors import UserError
from attnreplace.schedule import check_schedule


@dataclass(frozen=True)
class TrainingConfig:
    """Optimisation of the teacher; the defaults suit the embedded corpus."""

    epochs: int = 8
    """Passes over the training pairs, at most."""
    batch_tokens: int = 2048
    """Padded tokens of the longer side in a batch, over all devices together."""
    learning_rate: float = 4e-3
    """Peak of the schedule. The paper's Noam rate is (d_model * warmup_steps) ** -0.5."""
    warmup_steps: int = 200
    """Updates of linear warm-up."""
    schedule: str = "cosine"
    """After the warm-up: "cosine" to zero, "inverse_sqrt" (Noam) or "constant"."""
    label_smoothing: float = 0.1
    """Mass spread over the vocabulary."""
    weight_decay: float = 0.0
    """AdamW's decay; zero makes it Adam."""
    beta2: float = 0.98
    """Adam's second coefficient (the first is 0.9, epsilon 1e-9)."""
    max_grad_norm: float = 1.0
    """Gradients are clipped to this norm."""
    precision: str = "auto"
    """"fp32", "bf16" (autocast; weights and loss stay float32) or "auto": bf16 on a GPU."""
    patience: int = 5
    """Epochs without a better validation BLEU before stopping."""
    validation_sentences: int = 200
    """Validation pairs that are translated (greedily) after every epoch, at most."""
    checkpoint_minutes: float = 10.0
    """Checkpoint at least this often, besides after every epoch."""
    seed: int = 0
    """Seeds initialisation, order of the batches and dropout."""

    def __post_init__(self) -> None:
        check_schedule(self.schedule)
        if self.precision not in ("auto", "fp32", "bf16"):
            raise UserError(f"unknown precision {self.precision!r}; valid: auto, fp32, bf16")
        for name in ("epochs", "batch_tokens", "patience", "validation_sentences"):
            if getattr(self, name) < 1:
                raise UserError(f"training.{name} must be at least 1; got {getattr(self, name)}")
        for name in ("learning_rate", "max_grad_norm"):
            if getattr(self, name) <= 0:
                raise UserError(f"training.{name} must be positive; got {getattr(self, name)}")
        if self.warmup_steps < 0:
            raise UserError(f"training.warmup_steps must not be negative; got {self.warmup_steps}")
        if not 0 <= self.label_smoothing < 1:
            raise UserError(f"label_smoothing must be in [0, 1); got {self.label_smoothing}")


TRAINING_PRESETS: dict[str, dict[str, Any]] = {
    "tiny": {},
    "paper": {
        "epochs": 20,
        "batch_tokens": 1500,
        "learning_rate": (128 * 4000) ** -0.5,
        "warmup_steps": 4000,
        "schedule": "inverse_sqrt",
        "validation_sentences": 1000,
    },
    "base": {
        "epochs": 20,
        "batch_tokens": 8192,
        "learning_rate": 7e-4,
        "warmup_steps": 4000,
        "schedule": "inverse_sqrt",
        "validation_sentences": 1000,
    },
}
"""What goes with each preset of the teacher's shape; the rest is the default."""
