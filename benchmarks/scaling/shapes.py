"""What is compared, and in which shapes."""

from dataclasses import dataclass
from functools import cache

from torch import nn

from attnreplace.hosts import Location, host_for
from attnreplace.methods import get_method
from attnreplace.planning.teachers import empty_model
from attnreplace.students import StudentConfig, build_student, student_config
from attnreplace.teacher.build import TeacherConfig
from benchmarks.plain.attention import PlainAttention

LENGTHS = (25, 50, 100, 200, 400)
"""N, tokens of the longest sentence."""
WIDTHS = (64, 128, 256, 512)
"""d_model."""
DEPTHS = (1, 2, 3, 4)
"""Hidden layers of a student."""
DEEP_AT = (50, 128)
"""N and d_model of the students that are deeper than one hidden layer."""
HEADS = 8
"""Of the attention, at every width, as in the paper."""
FORMS = {"sentence": "encoder", "prefix": "decoder", "per-query": "cross"}
"""Forms of students, and the group of sites that each is for."""
ATTENTION = "attention"
SYSTEMS: dict[str, tuple[str, str] | None] = {
    ATTENTION: None,
    "shallow_ff-s": ("shallow_ff", "s"),
    "shallow_ff-m": ("shallow_ff", "m"),
    "gated-m": ("gated", "m"),
    "pairwise-m": ("pairwise", "m"),
    "summaries-m": ("summaries", "m"),
    "summaries-l": ("summaries", "l"),
    "linear_attention-m": ("linear_attention", "m"),
    "tiny-m": ("tiny", "m"),
}
"""Family and size; the attention that they replace has neither."""


@dataclass(frozen=True)
class Shape:
    """One place in the grid."""

    form: str
    positions: int
    d_model: int
    hidden_layers: int = 1

    @property
    def key(self) -> str:
        """For records: "prefix N50 d128 x1"."""
        return f"{self.form} N{self.positions} d{self.d_model} x{self.hidden_layers}"


def all_shapes() -> list[Shape]:
    """Every length and width at one hidden layer, and every depth at `DEEP_AT`."""
    flat = [Shape(form, n, d) for form in FORMS for n in LENGTHS for d in WIDTHS]
    return flat + [Shape(form, *DEEP_AT, depth) for form in FORMS for depth in DEPTHS[1:]]


def config_of(system: str, shape: Shape) -> StudentConfig:
    """The student that `attnreplace distill --method alr` trains in such a teacher."""
    family, size = SYSTEMS[system] or ("shallow_ff", "s")
    return shaped(family, size, shape)


def shaped(family: str, size: str, shape: Shape) -> StudentConfig:
    """The same by family and size."""
    return student_config(
        get_method("alr"),
        size,
        _locations(shape.d_model)[FORMS[shape.form]],
        shape.positions,
        family=family,
        hidden_layers=shape.hidden_layers,
    )


def parameters_of(system: str, shape: Shape) -> int:
    """How many; of attention, those of queries, keys and values."""
    if system == ATTENTION:
        return 3 * shape.d_model * (shape.d_model + 1)
    return config_of(system, shape).num_parameters()


def build(system: str, shape: Shape) -> nn.Module:
    """The module, freshly drawn, on torch's default device."""
    if system == ATTENTION:
        return PlainAttention(shape.d_model, HEADS, causal=shape.form == "prefix")
    return build_student(config_of(system, shape))


@cache
def _locations(d_model: int) -> dict[str, Location]:
    """A site of each group in a teacher of that width."""
    shape = TeacherConfig(
        d_model=d_model, num_heads=HEADS, encoder_layers=1, decoder_layers=1, vocab_size=300
    )
    model = empty_model(shape)
    host = host_for(model)
    return {site.group: host.locate(model, site) for site in host.sites(model)}
