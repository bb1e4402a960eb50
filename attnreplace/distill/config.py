"""How students are distilled."""

from dataclasses import dataclass, field

from attnreplace.errors import UserError
from attnreplace.methods import get_method
from attnreplace.schedule import check_schedule
from attnreplace.students.sizes import SIZES

RECIPES = ("modern", "paper")


@dataclass(frozen=True)
class DistillConfig:
    """Which students, and how they are trained."""

    methods: list[str] = field(default_factory=lambda: ["alr", "aslr", "alrr", "elr"])
    """Methods: alr, aslr, alrr, elr."""
    sizes: list[str] = field(default_factory=lambda: ["xs", "m"])
    """Sizes: xs, s, m, l, xl."""
    recipe: str = "modern"
    """Way of training: "modern" (AdamW, warm-up and `schedule`, MSE over the target's variance,
    best epoch by validation) or "paper" (Adam, its constant rates, plain MSE, last epoch)."""
    epochs: int = 3
    """Passes over the activations (the paper: 21)."""
    batch_tokens: int = 2048
    """Real tokens in a batch. The paper's 2000 sentences of IWSLT are about 40000."""
    learning_rate: float | None = None
    """Peak rate; None is the recipe's own."""
    schedule: str = "trapezoid"
    """Modern recipe, after a short warm-up: "trapezoid" (constant, then a line to zero), "cosine",
    "inverse_sqrt" or "constant"."""
    weight_decay: float = 0.0
    """AdamW's decay; recipe modern."""
    precision: str = "auto"
    """"fp32", "bf16" (autocast of the matrix products) or "auto": bf16 on a GPU."""
    patience: int = 3
    """Modern recipe: epochs without a better validation error before a student rests."""
    max_students: int | None = None
    """Students trained side by side, at most; None fits them to the free memory."""
    checkpoint_minutes: float = 10.0
    """Checkpoint at least this often."""
    seed: int = 0
    """Seeds initialisation and order of the batches."""

    def __post_init__(self) -> None:
        if not self.methods or not self.sizes:
            raise UserError("distill needs at least one method and one size")
        for method in self.methods:
            get_method(method)
        for size in self.sizes:
            if size not in SIZES:
                raise UserError(f"unknown size {size!r}; valid: {', '.join(SIZES)}")
        if self.recipe not in RECIPES:
            raise UserError(f"unknown recipe {self.recipe!r}; valid: {', '.join(RECIPES)}")
        check_schedule(self.schedule)
        if self.precision not in ("auto", "fp32", "bf16"):
            raise UserError(f"unknown precision {self.precision!r}; valid: auto, fp32, bf16")
        for name in ("epochs", "batch_tokens", "patience"):
            if getattr(self, name) < 1:
                raise UserError(f"distill.{name} must be at least 1; got {getattr(self, name)}")
        if self.learning_rate is not None and self.learning_rate <= 0:
            raise UserError(f"distill.learning_rate must be positive; got {self.learning_rate}")
        if self.max_students is not None and self.max_students < 1:
            raise UserError(f"distill.max_students must be at least 1; got {self.max_students}")
