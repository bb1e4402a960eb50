"""The sizes of a student, as data (Bozic et al., arXiv 2311.10642).

They are those of the shallow networks. The families whose weights over the tokens belong to
positions take the width with which they have as many parameters, so that a size costs the same
memory in all of them.

The families of `NATURAL` do not: what weighs pairs, or a few heads of values, by weights that all
positions share would need widths of hundreds of times the model's to have as many, and would be
something else. They have sizes of their own, by the measure of the attention that is replaced,
whose queries, keys and values have 3 d (d + 1) parameters. With 8 heads, N = 50 and d = 128 that is
49,536, and at cross-attention by ALR, in thousands, they have

                          xs     s     m     l     xl
    summaries           24.8  33.0  49.5  82.6  148.6
    pairwise            21.3  25.5  34.0  51.0   84.9
    tiny                 2.7   4.8   8.9  17.1   33.6
    gaussian             8.8  17.1  33.5  66.3  132.0
    synthesizer         21.7  25.9  34.4  51.3   85.1
    random_synthesizer  18.6  20.2  23.4  29.8   42.6
    linear_attention    21.2  25.3  33.5  50.0   83.1
"""

from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING

from attnreplace.errors import UserError
from attnreplace.students.base import CROSS_FORMS, StudentConfig

if TYPE_CHECKING:
    from attnreplace.hosts import Location
    from attnreplace.methods import Method

SIZES = {
    "xs": (Fraction(1, 256), Fraction(1, 32)),
    "s": (Fraction(1, 128), Fraction(1, 16)),
    "m": (Fraction(1, 8), Fraction(1, 8)),
    "l": (Fraction(1, 2), Fraction(1, 4)),
    "xl": (Fraction(2), Fraction(1, 4)),
}
"""Hidden width as a share of the input's width: of one network, and of one network per head."""

WIDEST = 512
"""No token mixer is wider than this many times its input. Its weights are shared by all tokens, so
that the largest sizes would take widths of thousands of times the model's; they fall short of their
counts instead, and where two sizes reach the bound they are the same."""


STEPS = {
    "xs": Fraction(1, 4),
    "s": Fraction(1, 2),
    "m": Fraction(1),
    "l": Fraction(2),
    "xl": Fraction(4),
}
"""Width in terms of that of size M, in the families of `NATURAL`."""

NATURAL = {
    "summaries": Fraction(1),
    "pairwise": Fraction(1, 2),
    "tiny": Fraction(1, 8),
    "gaussian": Fraction(1, 2),
    "synthesizer": Fraction(1, 4),
    "random_synthesizer": Fraction(1, 16),
    "linear_attention": Fraction(1, 2),
}
"""Width of size M as a share of d_model, in the families whose parameters are not matched. Groups
share it; features are a head's, so that heads share these always; a rank is not shared."""

HEADS = ("summaries", "pairwise", "synthesizer", "random_synthesizer", "linear_attention")
"""Those with weights over the tokens for each head."""


def hidden_width(size: str, width: int, per_head: bool = False) -> int:
    """Width h of the hidden layer, at least 1.

    Args:
        size: a name of `SIZES`.
        width: values the student reads: see `input_width`.
        per_head: whether each head has a network of its own.

    Raises:
        UserError: there is no such size.
    """
    if size not in SIZES:
        raise UserError(f"no student size {size!r}; valid sizes: {', '.join(SIZES)}")
    return max(1, int(SIZES[size][per_head] * width))


def input_width(form: str, positions: int, d_model: int) -> int:
    """How many values a student reads at once: N * d_model, and more where it reads a memory.

    Args:
        form: a name of `FORMS`.
        positions: N, the longest sentence in tokens.
        d_model: width of the input and of the memory.
    """
    tokens = {"per-query": positions + 1, "paper": 2 * positions}.get(form, positions)
    return tokens * d_model


def student_config(
    method: "Method",
    size: str,
    location: "Location",
    positions: int,
    *,
    family: str = "shallow_ff",
    cross_form: str = "per-query",
    hidden_layers: int = 1,
    spatial: str = "toeplitz",
) -> StudentConfig:
    """The student that `method` trains at `location`.

    Args:
        method: decides between one network and one per head.
        size: a name of `SIZES`.
        location: gives the form, the width of the model and the number of heads.
        positions: N, the longest sentence in tokens.
        family: a name of `FAMILIES`.
        cross_form: form of the students of cross-attention, a name of `CROSS_FORMS`.
        hidden_layers: how many hidden layers each network has.
        spatial: weights over the tokens of a spatial gate, a name of `SPATIAL`.

    Raises:
        UserError: no such size, form, family or weights, or the family has no such form.
    """
    if cross_form not in CROSS_FORMS:
        raise UserError(
            f"no form {cross_form!r} for cross-attention; valid forms: {', '.join(CROSS_FORMS)}"
        )
    form = {"encoder": "sentence", "decoder": "prefix", "cross": cross_form}[location.site.group]
    width = input_width(form, positions, location.d_model)
    shallow = StudentConfig(
        family="shallow_ff",
        d_model=location.d_model,
        d_out=location.d_model,
        positions=positions,
        hidden=hidden_width(size, width, method.per_head),
        groups=location.num_heads if method.per_head else 1,
        form=form,
        hidden_layers=hidden_layers,
    )
    if family == shallow.family:
        return shallow
    if family in NATURAL:
        return _natural(replace(shallow, family=family), method, size, location)
    return match_parameters(replace(shallow, family=family, spatial=spatial), shallow)


def _natural(
    config: StudentConfig, method: "Method", size: str, location: "Location"
) -> StudentConfig:
    """A configuration with the width of its own family."""
    family = config.family
    heads = location.num_heads if family in HEADS and not method.per_head else 1
    sharing = 1 if family == "random_synthesizer" else config.groups
    if family in ("summaries", "linear_attention"):
        sharing = location.num_heads
    hidden = NATURAL[family] * STEPS[size] * config.d_model / sharing
    return replace(config, hidden=max(1, int(hidden)), heads=heads, residual=method.residual)


def match_parameters(config: StudentConfig, other: StudentConfig) -> StudentConfig:
    """A configuration with the width with which it is nearest in parameters to another.

    Args:
        config: of a token mixer, whose count is linear in its width; its own width is not read.
        other: what it is to be compared with.

    Raises:
        UserError: there is no such family, or it has no such form.
    """
    one, two = (replace(config, hidden=hidden).num_parameters() for hidden in (1, 2))
    hidden = 1 + round(Fraction(other.num_parameters() - one, two - one))
    return replace(config, hidden=min(max(1, hidden), WIDEST * config.d_model))
