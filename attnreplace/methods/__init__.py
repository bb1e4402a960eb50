"""Methods: what each way of replacing attention cuts out, trains on and puts back.

To add one: write one file here with a subclass of `Method` (`name`, `roles`, `cut`, `splice`), add
it to the tuple below, and a row with its oracle to `tests/integration/test_invariants.py`.
"""

from attnreplace.errors import UserError
from attnreplace.methods.alr import ALR
from attnreplace.methods.alrr import ALRR
from attnreplace.methods.aslr import ASLR
from attnreplace.methods.base import Method
from attnreplace.methods.elr import ELR

METHODS: dict[str, Method] = {method.name: method for method in (ALR(), ASLR(), ALRR(), ELR())}
ALIASES = {"alsr": "aslr"}
"""Other spellings: the official code writes ALSR for the paper's ASLR."""

__all__ = ["ALR", "ALRR", "ASLR", "ELR", "METHODS", "Method", "get_method"]


def get_method(name: str) -> Method:
    """The method of that name.

    Raises:
        UserError: there is none.
    """
    name = ALIASES.get(name, name)
    if name not in METHODS:
        raise UserError(f"no method {name!r}; valid methods: {', '.join(METHODS)}")
    return METHODS[name]
