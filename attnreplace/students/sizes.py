"""The sizes of a student, as data (Bozic et al., arXiv 2311.10642)."""

from fractions import Fraction
from typing import TYPE_CHECKING

from attnreplace.errors import UserError
from attnreplace.students.base import StudentConfig

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


def hidden_width(size: str, width: int, per_head: bool = False) -> int:
    """Width h of the hidden layer, at least 1.

    Args:
        size: a name of `SIZES`.
        width: values the student reads: N * d_model (memory and target together: their sum).
        per_head: whether each head has a network of its own.

    Raises:
        UserError: there is no such size.
    """
    if size not in SIZES:
        raise UserError(f"no student size {size!r}; valid sizes: {', '.join(SIZES)}")
    return max(1, int(SIZES[size][per_head] * width))


def student_config(
    method: "Method",
    size: str,
    location: "Location",
    positions: int,
    family: str = "shallow_ff",
) -> StudentConfig:
    """The student that `method` trains at `location`.

    Args:
        method: decides between one network and one per head.
        size: a name of `SIZES`.
        location: gives the width of the model and the number of heads.
        positions: N, the longest sentence in tokens.
        family: a name of `FAMILIES`.
    """
    return StudentConfig(
        family=family,
        d_model=location.d_model,
        d_out=location.d_model,
        positions=positions,
        hidden=hidden_width(size, positions * location.d_model, method.per_head),
        groups=location.num_heads if method.per_head else 1,
    )
