"""How a spliced model is tuned."""

import re
from dataclasses import dataclass, field

from attnreplace.errors import UserError
from attnreplace.hosts import GROUPS
from attnreplace.teacher.config import BaseTraining

LOSSES = {"kl": 1.0, "ce": 0.3, "hidden": 1.0, "forced": 1.0}
"""What a spliced model can minimise, and how much each usually counts."""
TRAINED = {
    "students": "students",
    "norms": "students and norms",
    "lora": "LoRA",
    "all": "all weights",
}
"""What can change, and its words."""
STARTS = ("distilled", "untrained", "scratch")
TARGETS = ("reference", "teacher")
NAME = re.compile(r"\w[\w.@-]*")
"""A folder's name that is one word in `evaluate.systems`."""


@dataclass(frozen=True)
class TuneConfig(BaseTraining):
    """Optimisation of a spliced model as a whole; batches are those of `[training]`."""

    system: str = ""
    """What is tuned, as `evaluate.systems`: "alr-m+alr-m-decoder"; "tuned/NAME" is tuned on,
    and so is the "teacher" itself."""
    name: str = ""
    """The folder in `tuned`; empty: follows from what is done."""
    losses: list[str] = field(default_factory=lambda: ["kl", "ce"])
    """"kl" to the teacher's predictions, "ce" with the targets, "hidden": the relative error of
    what leaves the stacks, "forced": that of the students' outputs, on the inputs that the spliced
    model itself gives them (alone, no gradient passes from one student to another)."""
    weights: list[float] = field(default_factory=list)
    """How much each of the losses counts; empty: kl 1, ce 0.3, hidden 1, forced 1."""
    temperature: float = 1.0
    """Of both predictions in "kl"."""
    train: str = "students"
    """What changes: "students", "norms" (and all norms of the model), "lora" (and low-rank adapters
    of the model's linear layers, merged into them at the end; needs the library peft) or "all"."""
    lora_rank: int = 8
    """Rank of the adapters."""
    lora_alpha: int = 16
    """What they give counts `lora_alpha / lora_rank` times."""
    order: list[str] = field(default_factory=list)
    """Groups of sites whose students set out one after the other, each after an equal share of
    the epochs, as ["encoder", "decoder", "cross"]; empty: all at once."""
    start: str = "distilled"
    """From "distilled" students, from the same "untrained", or from "scratch": nothing of the model
    was ever trained."""
    targets: str = "reference"
    """The corpus's translations, or the "teacher"'s own (Kim and Rush 2016)."""
    target_beam: int = 1
    """Beam width of the teacher's own translations."""
    epochs: int = 3
    """Passes over the training data, at most."""
    learning_rate: float = 5e-4
    """Peak of the schedule."""
    warmup_steps: int = 50
    """Updates of linear warm-up."""
    patience: int = 5
    """Epochs without a better validation score before stopping; with `order`, of those in which the
    last group has set out."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for what, chosen, valid in (
            ("losses", self.losses, tuple(LOSSES)),
            ("train", [self.train], tuple(TRAINED)),
            ("start", [self.start], STARTS),
            ("targets", [self.targets], TARGETS),
            ("order", self.order, GROUPS),
        ):
            for name in chosen:
                if name not in valid:
                    raise UserError(f"tune.{what}: unknown {name!r}; valid: {', '.join(valid)}")
            if len(set(chosen)) < len(chosen):
                raise UserError(f"tune.{what} names something twice: {', '.join(chosen)}")
        if self.name and not NAME.fullmatch(self.name):
            raise UserError(
                f"tune.name is {self.name!r}; the folder's name begins with a letter or digit, and "
                "has only these, '-', '_', '.' and '@'"
            )
        if not self.losses:
            raise UserError(f"tune.losses is empty; valid: {', '.join(LOSSES)}")
        if self.losses == ["forced"] and self.train != "students":
            raise UserError(
                'tune.losses "forced" alone reaches students only; leave tune.train at "students", '
                "or add another loss"
            )
        if self.weights and len(self.weights) != len(self.losses):
            raise UserError(
                f"tune.weights has {len(self.weights)} numbers for {len(self.losses)} losses; "
                "give one for each, or none"
            )
        if self.epochs < 1 or self.epochs < len(self.order):
            raise UserError("tune.epochs must be at least 1, and one for each group in tune.order")
        if self.temperature <= 0 or self.target_beam < 1:
            raise UserError("tune.temperature must be positive and tune.target_beam at least 1")
        if self.lora_rank < 1 or self.lora_alpha <= 0:
            raise UserError("tune.lora_rank must be at least 1 and tune.lora_alpha positive")

    @property
    def epsilon_of_adam(self) -> float:
        """The usual one."""
        return 1e-8

    @property
    def weight_of(self) -> dict[str, float]:
        """How much each loss counts, by name."""
        weights = self.weights or [LOSSES[name] for name in self.losses]
        return dict(zip(self.losses, weights, strict=True))

    def groups_in(self, epoch: int) -> list[str]:
        """The groups of sites whose students learn in an epoch (from 0)."""
        if not self.order:
            return list(GROUPS)
        return self.order[: 1 + epoch * len(self.order) // self.epochs]

    @property
    def patient_from(self) -> int:
        """The first epoch in which all students learn."""
        last = self.groups_in(self.epochs - 1)
        return next(epoch for epoch in range(self.epochs) if self.groups_in(epoch) == last)

    @property
    def summary(self) -> str:
        """What sets it apart, for people: "tuned kl+ce, all weights"; "ce, from scratch"."""
        return ("tuned " if self.start == "distilled" else "") + self.stage

    @property
    def stage(self) -> str:
        """What is done, for people: "kl+ce, all weights"."""
        words = ["+".join(self.losses)]
        if self.train != "students":
            words.append(changes_in_words(self.train, self.lora_rank))
        if self.order:
            words.append(", then ".join(self.order))
        if self.targets == "teacher":
            words.append("teacher's translations")
        if self.start != "distilled":
            words.append({"untrained": "from untrained", "scratch": "from scratch"}[self.start])
        return ", ".join(words)


def changes_in_words(train: str, lora_rank: int | None) -> str:
    """What `TuneConfig.train` lets change, for people: "LoRA of rank 8"."""
    words = TRAINED.get(train, train)
    return f"{words} of rank {lora_rank}" if train == "lora" and lora_rank else words
