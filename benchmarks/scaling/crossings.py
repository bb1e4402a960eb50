"""Where a student and the attention cost the same, over the length of the sentence."""

from collections.abc import Callable

from attnreplace.planning.tables import Table
from benchmarks.scaling.cost_tables import NAMES
from benchmarks.scaling.formulas import (
    crossing,
    forward_flops,
    qkv_parameters,
    shallow_parameters,
    summaries_flops,
)
from benchmarks.scaling.results import Results
from benchmarks.scaling.shapes import LENGTHS, WIDTHS, Shape

TIMED = {"training step": ("sentence", "train"), "forward pass": ("sentence", "forward")}
STEP = {"decoding step": ("prefix", "step")}
OPERATIONS = "operations of a forward pass"


def dearer_table(results: Results) -> Table:
    """From which N on a shallow student of the encoder costs more than the attention."""
    rows = []
    for d in WIDTHS:
        for size in ("s", "m"):

            def parameters(n: int, d: int = d, size: str = size) -> float:
                return shallow_parameters(size, n, d) - qkv_parameters(d)

            def operations(n: int, d: int = d, size: str = size) -> float:
                return forward_flops(size, n, d) - forward_flops(None, n, d)

            system = f"shallow_ff-{size}"
            timed = [_from(results, system, d, *call, 1) for call in TIMED.values()]
            exact = [_exact(parameters), _exact(operations)]
            rows.append([str(d), NAMES[system], *exact, *timed])
    return ["d", "student", "parameters", OPERATIONS, *TIMED], rows


def cheaper_table(results: Results) -> Table:
    """From which N on summaries cost less than the attention."""
    rows = []
    for d in WIDTHS:
        for size in ("m", "l"):

            def operations(n: int, d: int = d, size: str = size) -> float:
                return forward_flops(None, n, d) - summaries_flops(size, n, d)

            system = f"summaries-{size}"
            timed = [_from(results, system, d, *call, -1) for call in (TIMED | STEP).values()]
            rows.append([str(d), NAMES[system], _exact(operations), *timed])
    return ["d", "student", OPERATIONS, *TIMED, *STEP], rows


def _exact(excess: Callable[[int], float]) -> str:
    found = crossing(excess)
    return "never" if found is None else f"N = {found}"


def _from(results: Results, system: str, d_model: int, form: str, what: str, sign: int) -> str:
    """The first of the lengths from which on it is slower than the attention, or faster with -1.

    In italics where it was fitted.
    """
    found = f"not up to N = {LENGTHS[-1]}"
    for n in reversed(LENGTHS):
        shape = Shape(form, n, d_model)
        ratio, cost = results.ratio(system, shape, what), results.cost(system, shape, what)
        if not (ratio and cost and sign * (ratio - 1) > 0):
            break
        found = f"N = {n}" if cost.measured else f"*N = {n}*"
    return found
