"""Tables of how well students learn."""

from collections.abc import Mapping
from typing import Any

from attnreplace.planning.tables import Table
from attnreplace.report.numbers import count, error, points
from benchmarks.scaling.cost_tables import NAMES, NOTHING
from benchmarks.scaling.fit import power_law
from benchmarks.scaling.results import Results

GROUPS = {"encoder": "encoder", "cross": "cross-attention"}
"""Sites whose students are trained, and what they are called."""
SERIES = ("shallow_ff-s", "shallow_ff-m", "pairwise-m", "summaries-m", "summaries-l")
"""Systems whose quality is measured."""
LONGER = {"t": "teacher, {} times the epochs", "p": "students, {} passes"}
"""What is trained longer in a cell, by the letter in its key."""

Place = tuple[int, int, int]
"""d_model, N and hidden layers."""
Rows = dict[str, dict[Place, Mapping[str, Any]]]
"""Of every series and place."""


def errors(results: Results, group: str, longer_by: tuple[str, ...] = ()) -> Rows:
    """The row of every student of a group.

    Args:
        results: the records.
        group: a key of `GROUPS`.
        longer_by: what was trained longer than elsewhere, as a cell's key has it.
    """
    found: Rows = {series: {} for series in SERIES}
    for row in results.students:
        if (row["group"], row["longer_by"]) == (group, longer_by):
            place = (row["d_model"], row["positions"], row["hidden_layers"])
            found[f"{row['family']}-{row['size']}"][place] = row
    return found


def lengths_table(results: Results, group: str) -> Table:
    """Relative error of students of one hidden layer."""
    by_series = errors(results, group)
    places = sorted({p for rows in by_series.values() for p in rows if p[2] == 1})
    rows = []
    for place in places:
        here = [by_series[series].get(place) for series in SERIES]
        first = next(row for row in here if row)
        about = [*map(str, place[:2]), f"{first['lines']:,}", f"{first['tokens']:,}"]
        rows.append(about + [_error(row) for row in here])
    return ["d", "N", "lines", "tokens", *_names()], rows


def depths_table(results: Results, group: str) -> Table:
    """Relative error and parameters of deeper students, beside those of one hidden layer."""
    by_series = errors(results, group)
    deep = {p[:2] for rows in by_series.values() for p in rows if p[2] > 1}
    places = sorted({p for rows in by_series.values() for p in rows if p[:2] in deep})
    rows = []
    for place in places:
        here = [by_series[series].get(place) for series in SERIES]
        cells = [f"{_error(row)} ({count(row['parameters'])})" if row else NOTHING for row in here]
        rows.append([*map(str, place), *cells])
    return ["d", "N", "hidden layers", *_names()], rows


def longer_table(results: Results, group: str) -> Table:
    """Relative error of students after longer training, beside that after the usual one."""
    ways = sorted({row["longer_by"] for row in results.students})
    found = {way: errors(results, group, way) for way in ways}
    again = {place for way in ways if way for rows in found[way].values() for place in rows}
    rows = []
    for place in sorted(again):
        for way in ways:
            here = [found[way][series].get(place) for series in SERIES]
            if any(here):
                rows.append([*map(str, place[:2]), _words(way), *map(_error, here)])
    return ["d", "N", "trained longer", *_names()], rows


def laws_table(results: Results) -> Table:
    """How the relative error of students of one hidden layer goes with N and d."""
    rows = []
    for group, words in GROUPS.items():
        for series, found in errors(results, group).items():
            values = [(p[1], p[0], row["relative_mse"]) for p, row in found.items() if p[2] == 1]
            widths = {d for _, d, _ in values}
            # More points than unknowns, or the law has no error to show.
            if len(values) > 2 + (len(widths) > 1) and len({n for n, _, _ in values}) > 1:
                law = power_law(values)
                about = [f"{words}: {NAMES[series]}", str(len(values))]
                rows.append([*about, str(law), f"{law.residual:.0%}"])
    return ["students", "points", "relative error goes as", "median error of that"], rows


def teachers_table(results: Results) -> Table:
    """The teachers, of lines of all lengths."""
    header = ["d", "layers", "heads", "parameters", "epochs", "validation loss", "validation BLEU"]
    rows = [
        [
            name.partition("-")[0],
            " + ".join(map(str, teacher["layers"])),
            str(teacher["heads"]),
            count(teacher["parameters"]),
            str(teacher["epochs"]),
            error(teacher["validation_loss"]),
            points(teacher["validation_bleu"]),
        ]
        for name, teacher in sorted(results.records["quality"]["teachers"].items(), key=_by_width)
    ]
    return header, rows


def _by_width(named: tuple[str, Mapping[str, Any]]) -> tuple[int, int]:
    name, teacher = named
    return int(name.partition("-")[0]), teacher["epochs"]


def _names() -> list[str]:
    return [NAMES[series] for series in SERIES]


def _words(way: tuple[str, ...]) -> str:
    return ", ".join(LONGER[part[0]].format(part[1:]) for part in way) or NOTHING


def _error(row: Mapping[str, Any] | None) -> str:
    return error(row["relative_mse"]) if row else NOTHING
