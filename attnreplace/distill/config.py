"""How students are distilled."""

from dataclasses import dataclass, field

from attnreplace.activations.sites import ALL
from attnreplace.distill.objectives import check_objective
from attnreplace.errors import UserError
from attnreplace.hosts import GROUPS
from attnreplace.methods import get_method
from attnreplace.schedule import check_schedule
from attnreplace.students import CROSS_FORMS, FAMILIES, SIZES, SPATIAL

RECIPES = ("modern", "paper")
PLACEMENTS = ("student", "data")


@dataclass(frozen=True)
class DistillConfig:
    """Which students, and how they are trained."""

    methods: list[str] = field(default_factory=lambda: ["alr", "aslr", "alrr", "elr"])
    """Methods: alr, aslr, alrr, elr."""
    sizes: list[str] = field(default_factory=lambda: ["xs", "m"])
    """Sizes: xs, s, m, l, xl."""
    families: list[str] = field(default_factory=lambda: ["shallow_ff"])
    """Families of students: "shallow_ff" (the paper's networks), "gated" (its sum gated by the
    query), "summaries" (gated means of which each query mixes its own), the token mixers
    "token_mlp", "sgu" and "amlp", "pairwise" (a network over each pair), and the yardsticks "tiny",
    "gaussian", "synthesizer", "random_synthesizer" and "linear_attention". Each is a bundle of its
    own; `students.KINDS` says what they are."""
    spatial: str = "toeplitz"
    """Weights over the tokens of "sgu" and "amlp" in self-attention: "toeplitz" (by distance) or
    "dense" (free ones for every pair of positions)."""
    sites: list[str] = field(default_factory=list)
    """Groups of sites: "encoder", "decoder" (its self-attention), "cross" (its cross-attention) or
    "all"; empty for all that are in the store. Each group is a bundle of its own."""
    layers: str = ""
    """Layers of those groups, as "0,2-5"; empty for all that are in the store."""
    hidden_layers: int = 1
    """Hidden layers of a student; the paper has one."""
    cross_form: str = "per-query"
    """What a student of cross-attention reads: "per-query" (memory and one query, causal) or
    "paper" (memory and the whole target at once)."""
    positions: int | None = None
    """Longest sentence that the students can read, in tokens; None is the teacher's max_length."""
    recipe: str = "modern"
    """Way of training: "modern" (AdamW, warm-up and `schedule`, best epoch by
    validation) or "paper" (Adam, its constant rates, last epoch)."""
    objective: str = "auto"
    """What students minimise: "mse", "normalised_mse" (over the target's variance), "cosine",
    "l1", "huber"; "auto" is normalised_mse in the modern recipe and mse in the paper's. Whatever
    it is, errors are reported as relative MSE."""
    epochs: int = 3
    """Passes over the activations (the paper: 21)."""
    batch_tokens: int = 2048
    """Real tokens in a batch. The paper's 2000 sentences of IWSLT are about 40000."""
    learning_rate: float | None = None
    """Peak rate; None is the recipe's own: in the modern one, wide students have lower ones."""
    schedule: str = "trapezoid"
    """Modern recipe, after a short warm-up: "trapezoid" (constant, then a line to zero), "cosine",
    "inverse_sqrt" or "constant"."""
    weight_decay: float = 0.0
    """AdamW's decay; recipe modern."""
    precision: str = "auto"
    """"fp32", "bf16" (autocast of the matrix products) or "auto": bf16 on a GPU."""
    patience: int = 3
    """Modern recipe: epochs without a better validation error before a student rests."""
    read_megabytes: int | None = None
    """Memory for reading the store; None is 1024, or what one batch takes if that is more."""
    max_students: int | None = None
    """Students trained side by side, at most; None fits them to the free memory."""
    checkpoint_minutes: float = 10.0
    """Checkpoint at least this often."""
    seed: int = 0
    """Seed of the order of the batches, the same for all students, and of the first students."""
    seeds: int = 1
    """How many students of each kind, of seeds `seed`, `seed` + 1 and so on, which they are
    initialised from; bundles of the further ones have "-seed1" and so on in their name."""
    placement: str = "student"
    """With several processes: "student" (each trains some of the students on all of the data) or
    "data" (each takes some sentences of every batch, for all students)."""
    online: bool = False
    """Take activations from the teacher as it runs instead of from the store."""

    def __post_init__(self) -> None:
        if not (self.methods and self.sizes and self.families):
            raise UserError("distill needs at least one method, one size and one family")
        for method in self.methods:
            get_method(method)
        for size in self.sizes:
            if size not in SIZES:
                raise UserError(f"unknown size {size!r}; valid: {', '.join(SIZES)}")
        for family in self.families:
            if family not in FAMILIES:
                raise UserError(f"unknown family {family!r}; valid: {', '.join(FAMILIES)}")
        if self.spatial not in SPATIAL:
            raise UserError(f"unknown spatial {self.spatial!r}; valid: {', '.join(SPATIAL)}")
        if self.recipe not in RECIPES:
            raise UserError(f"unknown recipe {self.recipe!r}; valid: {', '.join(RECIPES)}")
        check_objective(self.objective)
        check_schedule(self.schedule)
        if self.precision not in ("auto", "fp32", "bf16"):
            raise UserError(f"unknown precision {self.precision!r}; valid: auto, fp32, bf16")
        for name in self.sites:
            if name not in (*GROUPS, ALL):
                raise UserError(f"distill.sites names {name!r}; valid: {', '.join(GROUPS)}, {ALL}")
        if self.cross_form not in CROSS_FORMS:
            raise UserError(
                f"unknown cross_form {self.cross_form!r}; valid: {', '.join(CROSS_FORMS)}"
            )
        if self.placement not in PLACEMENTS:
            raise UserError(f"unknown placement {self.placement!r}; valid: {', '.join(PLACEMENTS)}")
        counts = (
            "epochs",
            "seeds",
            "batch_tokens",
            "patience",
            "hidden_layers",
            "positions",
            "max_students",
            "read_megabytes",
        )
        for name in counts:
            value = getattr(self, name)
            if value is not None and value < 1:
                raise UserError(f"distill.{name} must be at least 1; got {value}")
        if self.learning_rate is not None and self.learning_rate <= 0:
            raise UserError(f"distill.learning_rate must be positive; got {self.learning_rate}")
