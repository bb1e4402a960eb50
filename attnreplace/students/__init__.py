"""Students: attention-free modules, one file a family and form.

To add a family: write a subclass of `Student` (`num_parameters`, `mix`) for each of the forms it
can take, add them to `FAMILIES` below, and a row to the tests in `tests/unit/students`.
"""

from collections.abc import Mapping

from attnreplace.errors import UserError
from attnreplace.students.align import run_aligned
from attnreplace.students.base import (
    CROSS_FORMS,
    FORMS,
    KINDS,
    SPATIAL,
    Kind,
    State,
    Student,
    StudentConfig,
)
from attnreplace.students.gated import Gated
from attnreplace.students.gaussian import Gaussian
from attnreplace.students.linear_attention import LinearAttention
from attnreplace.students.pairwise import Pairwise
from attnreplace.students.paper_ff import PaperFF
from attnreplace.students.prefix_ff import PrefixFF
from attnreplace.students.query_ff import QueryFF
from attnreplace.students.query_gate import QueryGate, QueryGateAttention
from attnreplace.students.sentence_ff import SentenceFF
from attnreplace.students.sgu import AMLP, SGU
from attnreplace.students.shallow_ff import ShallowFF
from attnreplace.students.sizes import (
    NATURAL,
    SIZES,
    hidden_width,
    input_width,
    match_parameters,
    student_config,
)
from attnreplace.students.summaries import Summaries
from attnreplace.students.synthesizer import DenseSynthesizer, RandomSynthesizer
from attnreplace.students.tiny import Tiny
from attnreplace.students.token_mlp import TokenMLPStudent

SITE_FORMS = ("sentence", "prefix", "per-query")
"""A form for every group of sites."""

FAMILIES: dict[str, Mapping[str, type[Student]]] = {
    "shallow_ff": {
        "sentence": SentenceFF,
        "prefix": PrefixFF,
        "per-query": QueryFF,
        "paper": PaperFF,
    },
    "token_mlp": {"sentence": TokenMLPStudent, "prefix": TokenMLPStudent},
    "sgu": {"sentence": SGU, "prefix": SGU, "per-query": QueryGate},
    "amlp": {"sentence": AMLP, "prefix": AMLP, "per-query": QueryGateAttention},
    "gated": dict.fromkeys(SITE_FORMS, Gated),
    "summaries": dict.fromkeys(SITE_FORMS, Summaries),
    "pairwise": dict.fromkeys(SITE_FORMS, Pairwise),
    "tiny": dict.fromkeys(SITE_FORMS, Tiny),
    "gaussian": dict.fromkeys(SITE_FORMS, Gaussian),
    "synthesizer": dict.fromkeys(SITE_FORMS, DenseSynthesizer),
    "random_synthesizer": dict.fromkeys(SITE_FORMS, RandomSynthesizer),
    "linear_attention": dict.fromkeys(SITE_FORMS, LinearAttention),
}
"""The class of every family and form; its `kind` says what it is, in the words of `KINDS`."""

__all__ = [
    "AMLP",
    "CROSS_FORMS",
    "FAMILIES",
    "FORMS",
    "KINDS",
    "NATURAL",
    "SGU",
    "SITE_FORMS",
    "SIZES",
    "SPATIAL",
    "DenseSynthesizer",
    "Gated",
    "Gaussian",
    "Kind",
    "LinearAttention",
    "Pairwise",
    "PaperFF",
    "PrefixFF",
    "QueryFF",
    "QueryGate",
    "QueryGateAttention",
    "RandomSynthesizer",
    "SentenceFF",
    "ShallowFF",
    "State",
    "Student",
    "StudentConfig",
    "Summaries",
    "Tiny",
    "TokenMLPStudent",
    "build_student",
    "hidden_width",
    "input_width",
    "match_parameters",
    "run_aligned",
    "student_class",
    "student_config",
]


def student_class(config: StudentConfig) -> type[Student]:
    """The class that a configuration asks for.

    Raises:
        UserError: there is no such family, or it has no such form.
    """
    if config.family not in FAMILIES:
        valid = ", ".join(FAMILIES)
        raise UserError(f"no student family {config.family!r}; valid families: {valid}")
    forms = FAMILIES[config.family]
    if config.form not in forms:
        raise UserError(
            f"family {config.family!r} has no form {config.form!r}; its forms: {', '.join(forms)}"
        )
    return forms[config.form]


def build_student(config: StudentConfig) -> Student:
    """A freshly initialised student, drawn from torch's global generator."""
    return student_class(config)(config)
