"""Students: attention-free modules, one file a family.

To add a family: write one file here with a subclass of `Student` (`num_parameters`, `mix`), add it
to `FAMILIES` below, and a row to the tests in `tests/unit/students`.
"""

from attnreplace.errors import UserError
from attnreplace.students.align import run_aligned
from attnreplace.students.base import Student, StudentConfig
from attnreplace.students.shallow_ff import ShallowFF
from attnreplace.students.sizes import SIZES, hidden_width, student_config

FAMILIES: dict[str, type[Student]] = {"shallow_ff": ShallowFF}

__all__ = [
    "FAMILIES",
    "SIZES",
    "ShallowFF",
    "Student",
    "StudentConfig",
    "build_student",
    "family",
    "hidden_width",
    "run_aligned",
    "student_config",
]


def family(name: str) -> type[Student]:
    """The family of that name.

    Raises:
        UserError: there is none.
    """
    if name not in FAMILIES:
        raise UserError(f"no student family {name!r}; valid families: {', '.join(FAMILIES)}")
    return FAMILIES[name]


def build_student(config: StudentConfig) -> Student:
    """A freshly initialised student, drawn from torch's global generator."""
    return family(config.family)(config)
