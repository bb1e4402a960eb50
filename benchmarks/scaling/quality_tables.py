"""Tables of how well students learn."""

from collections.abc import Mapping
from typing import Any

from attnreplace.planning.tables import Table
from attnreplace.report.numbers import count, error, points
from benchmarks.scaling.cost_tables import NOTHING
from benchmarks.scaling.fit import power_law
from benchmarks.scaling.results import Results

SERIES = {
    (group, family, size): f"{group}: {name}"
    for group in ("encoder", "cross")
    for family, size, name in (
        ("shallow_ff", "s", "shallow S"),
        ("shallow_ff", "m", "shallow M"),
        ("pairwise", "m", "pairwise M"),
    )
}
"""Group, family and size, and what they are called."""

Place = tuple[int, int, int]
"""d_model, N and hidden layers."""


def errors(results: Results) -> dict[tuple[str, str, str], dict[Place, Mapping[str, Any]]]:
    """The row of every student, by series and place."""
    found: dict[tuple[str, str, str], dict[Place, Mapping[str, Any]]] = {s: {} for s in SERIES}
    for row in results.students:
        place = (row["d_model"], row["positions"], row["hidden_layers"])
        found[row["group"], row["family"], row["size"]][place] = row
    return found


def lengths_table(results: Results) -> Table:
    """Relative error of students of one hidden layer."""
    by_series = errors(results)
    places = sorted({p for rows in by_series.values() for p in rows if p[2] == 1})
    rows = []
    for d_model, positions, depth in places:
        here = [by_series[series].get((d_model, positions, depth)) for series in SERIES]
        first = next(row for row in here if row)
        about = [str(d_model), str(positions), f"{first['lines']:,}", f"{first['tokens']:,}"]
        rows.append(about + [_error(row) for row in here])
    return ["d", "N", "lines", "tokens", *SERIES.values()], rows


def depths_table(results: Results) -> Table:
    """Relative error and parameters of deeper students, beside those of one hidden layer."""
    by_series = errors(results)
    deep = {p[:2] for rows in by_series.values() for p in rows if p[2] > 1}
    places = sorted({p for rows in by_series.values() for p in rows if p[:2] in deep})
    rows = []
    for place in places:
        here = [by_series[series].get(place) for series in SERIES]
        cells = [f"{_error(row)} ({count(row['parameters'])})" if row else NOTHING for row in here]
        rows.append([*map(str, place), *cells])
    return ["d", "N", "hidden layers", *SERIES.values()], rows


def laws_table(results: Results) -> Table:
    """How the relative error of students of one hidden layer goes with N and d."""
    rows = []
    for series, found in errors(results).items():
        values = [
            (place[1], place[0], row["relative_mse"])
            for place, row in found.items()
            if place[2] == 1
        ]
        widths = {d for _, d, _ in values}
        # More points than unknowns, or the law has no error to show.
        if len(values) > 2 + (len(widths) > 1) and len({n for n, _, _ in values}) > 1:
            law = power_law(values)
            rows.append([SERIES[series], str(len(values)), str(law), f"{law.residual:.0%}"])
    return ["students", "points", "relative error goes as", "median error of that"], rows


def teachers_table(results: Results) -> Table:
    """The teachers, of lines of all lengths."""
    header = ["d", "layers", "heads", "parameters", "epochs", "validation loss", "validation BLEU"]
    rows = [
        [
            d_model,
            " + ".join(map(str, teacher["layers"])),
            str(teacher["heads"]),
            count(teacher["parameters"]),
            str(teacher["epochs"]),
            error(teacher["validation_loss"]),
            points(teacher["validation_bleu"]),
        ]
        for d_model, teacher in results.records["quality"]["teachers"].items()
    ]
    return header, rows


def _error(row: Mapping[str, Any] | None) -> str:
    return error(row["relative_mse"]) if row else NOTHING
