"""A teacher that begins with weights from elsewhere."""

from dataclasses import dataclass

from attnreplace.errors import UserError


@dataclass(frozen=True)
class PretrainedConfig:
    """Which model to start from; its shape is its own."""

    pretrained: str
    """A name on the Hugging Face Hub, or a folder of `save_pretrained`. With training.epochs = 0
    the model is the teacher as it is."""
    max_length: int | None = None
    """Longest text in tokens; None: as many as the model has positions."""

    def __post_init__(self) -> None:
        if not self.pretrained:
            raise UserError("teacher.pretrained should be a name on the Hub or a folder")
        if self.max_length is not None and self.max_length < 2:
            raise UserError(f"max_length must be at least 2; got {self.max_length}")
