"""How systems are evaluated."""

from dataclasses import dataclass, field

from attnreplace.errors import UserError
from attnreplace.evaluate.translate import OVER_LONG

DEVICES = ("auto", "cpu", "cuda")


@dataclass(frozen=True)
class EvalConfig:
    """What is evaluated, and how."""

    beams: list[int] = field(default_factory=lambda: [1, 5])
    """Beam widths of translation; 1 is greedy search."""
    test_sets: list[str] = field(default_factory=list)
    """Test sets by name; empty: all that the corpus has."""
    over_long: str = "truncate"
    """Sentences longer than a system's limit, on either side: "error", "truncate" to the limit, or
    "teacher": translated by the teacher. They are counted, never dropped. Texts that are not
    translated can only be truncated or be an error."""
    baselines: bool = True
    """Whether attention removed and untrained students are evaluated too."""
    cost: bool = True
    """Whether operations, latency and memory are measured."""
    batch_tokens: int = 4096
    """Padded source tokens in a batch, times beams in translation, at most."""
    device: str = "auto"
    """"cpu", "cuda", or "auto": a GPU where there is one."""
    systems: list[str] = field(default_factory=list)
    """What is spliced into the teacher: bundles ("alr-m"), some of their layers ("alr-m:0-2,4"),
    or several together ("alr-m+alr-m-decoder"). Empty: every bundle alone, and those of one method
    and size for several groups of sites together."""

    def __post_init__(self) -> None:
        if not self.beams:
            raise UserError("evaluate.beams needs at least one beam width, as in [1, 5]")
        for beam in self.beams:
            if isinstance(beam, bool) or not isinstance(beam, int) or beam < 1:
                raise UserError(f"a beam width must be a whole number from 1; got {beam!r}")
        if self.over_long not in OVER_LONG:
            raise UserError(f"unknown over_long {self.over_long!r}; valid: {', '.join(OVER_LONG)}")
        if self.batch_tokens < 1:
            raise UserError(f"evaluate.batch_tokens must be at least 1; got {self.batch_tokens}")
        if self.device not in DEVICES:
            raise UserError(f"unknown device {self.device!r}; valid: {', '.join(DEVICES)}")
