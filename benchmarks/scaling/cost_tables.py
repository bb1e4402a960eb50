"""Tables of what students and attention cost."""

from collections.abc import Sequence

from attnreplace.activations.schema import readable_bytes
from attnreplace.planning.tables import Table
from attnreplace.report.numbers import count, three_digits
from benchmarks.scaling.fit import held_out, residual
from benchmarks.scaling.results import Cost, Results
from benchmarks.scaling.shapes import (
    ATTENTION,
    DEEP_AT,
    DEPTHS,
    FORMS,
    LENGTHS,
    SYSTEMS,
    WIDTHS,
    Shape,
    shaped,
)

NAMES = {
    ATTENTION: "attention",
    "shallow_ff-s": "shallow S",
    "shallow_ff-m": "shallow M",
    "gated-m": "gated M",
    "pairwise-m": "pairwise M",
    "summaries-m": "summaries M",
    "summaries-l": "summaries L",
    "linear_attention-m": "linear attention M",
    "tiny-m": "tiny M",
}
PLACES = {"sentence": "encoder", "prefix": "decoder", "per-query": "cross"}
UNITS = {"h": 3600.0, "min": 60.0, "s": 1.0, "ms": 1e-3}
NOTHING = "\N{EN DASH}"
"""Where there is no figure."""
LARGER = {"shallow L": ("shallow_ff", "l"), "shallow XL": ("shallow_ff", "xl")}
"""Counted beside `SYSTEMS`, never measured."""


def grid(form: str) -> list[Shape]:
    """All lengths and widths of a form, the shortest first."""
    return [Shape(form, n, d) for n in LENGTHS for d in WIDTHS]


def parameters_table(results: Results, form: str = "sentence") -> Table:
    """Parameters of one layer."""
    header = ["N", "d", *NAMES.values(), *LARGER]
    rows = []
    for shape in grid(form):
        cells = [results.size(system, shape, "parameters") for system in SYSTEMS]
        cells += [shaped(*kind, shape).num_parameters() for kind in LARGER.values()]
        rows.append([*_place(shape), *map(count, cells)])
    return header, rows


def bytes_table(results: Results, form: str, figure: str) -> Table:
    """Bytes to train a layer, or to decode a sentence with it."""
    rows = [
        [*_place(s), *(readable_bytes(results.size(name, s, figure)) for name in SYSTEMS)]
        for s in grid(form)
    ]
    return ["N", "d", *NAMES.values()], rows


def seconds_table(results: Results, form: str, what: str) -> Table:
    """Seconds of a call, and in brackets in terms of the attention's; fitted ones in italics."""
    rows = [
        [*_place(shape), *(_timed(results, name, shape, what) for name in SYSTEMS)]
        for shape in grid(form)
    ]
    return ["N", "d", *NAMES.values()], rows


def depth_table(results: Results, system: str = "shallow_ff-m") -> Table:
    """Parameters and cost of deeper students, of each form."""
    header = ["place", "hidden layers", "parameters", "training step", "forward pass", "step"]
    rows = []
    for form, place in PLACES.items():
        for depth in DEPTHS:
            shape = Shape(form, *DEEP_AT, depth)
            parameters = count(results.size(system, shape, "parameters"))
            cells = [_timed(results, system, shape, w) for w in ("train", "forward")]
            step = "" if form == "sentence" else _timed(results, system, shape, "step")
            rows.append([place, str(depth), parameters, *cells, step])
    return header, rows


def fits_table(results: Results, what: str) -> Table:
    """Exponents of N and d, and how well operations and bytes explain the seconds."""
    forms = [form for form in FORMS if what != "step" or form != "sentence"]
    header = ["system"]
    for form in forms:
        header += [f"{PLACES[form]}: power law", "its error", "counts: error", "held out"]
    rows = []
    for system, name in NAMES.items():
        cells = [name]
        for form in forms:
            cells += _fit_cells(results, system, form, what)
        rows.append(cells)
    return header, rows


def _place(shape: Shape) -> list[str]:
    return [str(shape.positions), str(shape.d_model)]


def _timed(results: Results, system: str, shape: Shape, what: str) -> str:
    cost = results.cost(system, shape, what)
    if cost is None:
        return NOTHING
    text = duration(cost.seconds)
    if system != ATTENTION:
        text += f" ({times(results.ratio(system, shape, what) or 0)})"
    return _marked(text, cost)


def _marked(text: str, cost: Cost) -> str:
    return text if cost.measured else f"*{text}*"


def times(ratio: float) -> str:
    """How many times as much: "0.42", "3.1", "12.5"."""
    return f"{ratio:.2f}" if ratio < 1 else three_digits(ratio) if ratio >= 10 else f"{ratio:.1f}"


def _fit_cells(results: Results, system: str, form: str, what: str) -> Sequence[str]:
    points = [point for _, point in results.points(system, form, what)]
    law = results.law(system, form, what)
    if law is None:
        return [NOTHING] * 4
    out = held_out(points)
    return [
        str(law),
        f"{law.residual:.0%}",
        f"{residual(points):.0%}",
        NOTHING if out is None else f"{out:.0%}",
    ]


def duration(seconds: float) -> str:
    """Seconds for a person: "321 µs", "3.21 ms", "1.07 s", "12.5 min"."""
    for unit, size in (("h", 7200.0), ("min", 120.0), ("s", 1.0), ("ms", 1e-3)):
        if seconds >= size:
            return f"{three_digits(seconds / UNITS[unit])} {unit}"
    return f"{three_digits(1e6 * seconds)} µs"
