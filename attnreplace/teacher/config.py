"""How the teacher is trained."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any

from attnreplace.errors import UserError
from attnreplace.schedule import check_schedule

AUGMENTATIONS = ("none", "crop", "crop-flip", "randaugment")


@dataclass(frozen=True)
class BaseTraining:
    """Optimisation, whatever the task."""

    epochs: int = 8
    """Passes over the training data, at most. With 0, pretrained weights are taken as they are."""
    learning_rate: float = 4e-3
    """Peak of the schedule. The paper's Noam rate is (d_model * warmup_steps) ** -0.5."""
    warmup_steps: int = 200
    """Updates of linear warm-up."""
    schedule: str = "cosine"
    """After the warm-up: "cosine" to zero, "inverse_sqrt" (Noam) or "constant"."""
    label_smoothing: float = 0.1
    """Mass spread over the classes or the vocabulary."""
    weight_decay: float = 0.0
    """AdamW's decay; zero makes it Adam."""
    beta2: float = 0.98
    """Adam's second coefficient (the first is 0.9)."""
    max_grad_norm: float = 1.0
    """Gradients are clipped to this norm."""
    precision: str = "auto"
    """"fp32", "bf16" (autocast; weights and loss stay float32) or "auto": bf16 on a GPU."""
    patience: int = 5
    """Epochs without a better validation score before stopping."""
    checkpoint_minutes: float = 10.0
    """Checkpoint at least this often, besides after every epoch."""
    seed: int = 0
    """Seeds all that is drawn: initialisation, order, dropout, augmentation, masks."""

    def __post_init__(self) -> None:
        check_schedule(self.schedule)
        if self.precision not in ("auto", "fp32", "bf16"):
            raise UserError(f"unknown precision {self.precision!r}; valid: auto, fp32, bf16")
        self.check_least(patience=1, epochs=0, warmup_steps=0)
        for name in ("learning_rate", "max_grad_norm"):
            if getattr(self, name) <= 0:
                raise UserError(f"training.{name} must be positive; got {getattr(self, name)}")
        if not 0 <= self.label_smoothing < 1:
            raise UserError(f"label_smoothing must be in [0, 1); got {self.label_smoothing}")

    def check_least(self, **least: int) -> None:
        """Refuse fields below their least value; None stands.

        Raises:
            UserError: one is.
        """
        for name, bound in least.items():
            value = getattr(self, name)
            if value is not None and value < bound:
                raise UserError(f"training.{name} must be at least {bound}; got {value}")

    @property
    @abstractmethod
    def epsilon_of_adam(self) -> float:
        """What Adam adds to the root of the second moment."""

    @property
    def most_steps(self) -> int | None:
        """Updates at most; None: as many as the epochs have."""
        return None

    @property
    def patient_from(self) -> int:
        """The first epoch (from 0) that counts for `patience`."""
        return 0


@dataclass(frozen=True)
class TrainingConfig(BaseTraining):
    """Optimisation of a translating teacher; the defaults suit the embedded corpus."""

    batch_tokens: int = 2048
    """Padded tokens of the longer side in a batch, over all devices together."""
    validation_sentences: int = 200
    """Validation pairs that are translated (greedily) after every epoch, at most."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_least(batch_tokens=1, validation_sentences=1)

    @property
    def epsilon_of_adam(self) -> float:
        """As Vaswani et al. 2017 have it."""
        return 1e-9


@dataclass(frozen=True)
class EncoderTrainingConfig(BaseTraining):
    """Optimisation of a teacher that is an encoder alone: AdamW, no decay of norms and biases."""

    batch_size: int = 64
    """Images, texts or blocks in a batch, over all devices together."""
    steps: int | None = None
    """Updates at most, where the epochs have more; the last epoch is cut short."""
    learning_rate: float = 2e-3
    """Peak of the schedule."""
    warmup_steps: int = 50
    """Updates of linear warm-up."""
    label_smoothing: float = 0.0
    """Mass spread over the classes or the vocabulary."""
    weight_decay: float = 0.01
    """AdamW's decay of all weights but those of norms and biases."""
    beta2: float = 0.999
    """Adam's second coefficient (the first is 0.9)."""
    epsilon: float = 1e-8
    """Adam's epsilon."""
    patience: int = 10
    """Epochs without a better validation score before stopping."""
    mixup: float = 0.0
    """Images: both parameters of the Beta distribution that shares of two images are drawn from;
    0: images are not mixed."""
    augment: str = "none"
    """Images: "none", "crop" (shifted by up to an eighth), "crop-flip" (and mirrored at random, for
    what has no left and right) or "randaugment" (and two of RandAugment's operations; needs
    torchvision)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_least(batch_size=1, steps=1)
        if self.mixup < 0 or self.epsilon <= 0:
            raise UserError("training.mixup must not be negative and training.epsilon positive")
        if self.augment not in AUGMENTATIONS:
            valid = ", ".join(AUGMENTATIONS)
            raise UserError(f"unknown augmentation {self.augment!r}; valid: {valid}")

    @property
    def epsilon_of_adam(self) -> float:
        """The field."""
        return self.epsilon

    @property
    def most_steps(self) -> int | None:
        """The field."""
        return self.steps


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
