"""The figure of the page: parameters, state, time and error over the length of the sentence."""

import math
from collections.abc import Callable
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullLocator

from attnreplace.activations.schema import readable_bytes
from attnreplace.report.canvas import SMALL, Chart, add_axes, new_figure, title
from attnreplace.report.numbers import count
from attnreplace.report.palette import LIGHT, MARKERS
from benchmarks.scaling.cost_tables import NAMES, duration
from benchmarks.scaling.quality_tables import GROUPS, errors
from benchmarks.scaling.results import Results
from benchmarks.scaling.shapes import LENGTHS, SYSTEMS, Shape

WIDTH = 128
"""d_model of the costs."""
FAMILIES = list(dict.fromkeys(kind[0] for kind in SYSTEMS.values() if kind))
"""In the order of their colours and markers."""
SOLID = "m"
"""The size whose markers are filled; those of the others are hollow."""
HIGH, GAP, TOP, FOOT = 210, 62, 30, 88
ROWS = 3


def chart(results: Results) -> Chart:
    """Six panels; what is measured has a marker, what is fitted a dashed line."""
    return Chart(
        "scaling",
        "Scaling",
        f"Costs at d {WIDTH}; markers are measured, dashed lines fitted. Filled markers: size M.",
        "Parameters, state, seconds and relative error against the length of the sentence.",
        lambda width: _draw(width, results),
        wide=820,
    )


def _draw(width: int, results: Results) -> Figure:
    height = TOP + ROWS * HIGH + (ROWS - 1) * GAP + FOOT
    figure = new_figure(width, height)
    axes = []
    for row in range(ROWS):
        bottom = FOOT + (ROWS - 1 - row) * (HIGH + GAP)
        for column in range(2):
            left = 58 + column * width / 2
            right = width - left - width / 2 + 76
            axes.append(add_axes(figure, left, bottom, right, height - bottom - HIGH))
    _sizes(axes[0], results, "sentence", "parameters", "parameters of an encoder layer", count)
    _sizes(axes[1], results, "prefix", "state_bytes", "state a sentence, decoder", readable_bytes)
    _seconds(axes[2], results, "sentence", "train", "training step, encoder")
    _seconds(axes[3], results, "prefix", "step", "decoding step, decoder")
    for one, group in zip(axes[4:], GROUPS, strict=True):
        _errors(one, results, group)
    for one in axes:
        _lengths(one)
    handles = axes[0].get_lines()[: len(SYSTEMS)]
    figure.legend(
        handles,
        NAMES.values(),
        loc="lower center",
        ncols=5,
        frameon=False,
        fontsize=SMALL,
        labelcolor=LIGHT["ink"],
    )
    return figure


def _sizes(
    axes: Axes, results: Results, form: str, figure: str, name: str, text: Callable[[int], str]
) -> None:
    title(axes, f"{name}, d {WIDTH}", x=-40)
    for system in SYSTEMS:
        values = [results.size(system, Shape(form, n, WIDTH), figure) for n in LENGTHS]
        axes.plot(LENGTHS, values, **_style(system))
    _log(axes, lambda value: text(int(value)))


def _seconds(axes: Axes, results: Results, form: str, what: str, name: str) -> None:
    title(axes, f"{name}, d {WIDTH}", x=-40)
    for system in SYSTEMS:
        costs = [results.cost(system, Shape(form, n, WIDTH), what) for n in LENGTHS]
        every = [cost.seconds if cost else math.nan for cost in costs]
        known = [cost.seconds if cost and cost.measured else math.nan for cost in costs]
        axes.plot(LENGTHS, every, color=_color(system), linestyle=(0, (3, 2)), linewidth=1)
        axes.plot(LENGTHS, known, **_style(system))
    _log(axes, duration)


def _errors(axes: Axes, results: Results, group: str) -> None:
    """Lines of the smallest width are whole, those of the others dotted."""
    found = errors(results, group)
    widths = sorted({d for rows in found.values() for d, _, h in rows if h == 1})
    dotted = f" (dotted: {', '.join(map(str, widths[1:]))})" if widths[1:] else ""
    title(axes, f"relative error, {GROUPS[group]}, d {(widths or [WIDTH])[0]}{dotted}", x=-40)
    for system, rows in found.items():
        for width in widths:
            line = sorted(
                (n, row["relative_mse"]) for (d, n, h), row in rows.items() if (d, h) == (width, 1)
            )
            if line:
                style = {"linestyle": "-" if width == widths[0] else ":"}
                axes.plot(*zip(*line, strict=True), **_style(system) | style)
    axes.set_ylim(bottom=0)


def _lengths(axes: Axes) -> None:
    axes.set_xscale("log")
    axes.set_xlim(LENGTHS[0] / 1.12, LENGTHS[-1] * 1.12)
    axes.xaxis.set_major_locator(FixedLocator(LENGTHS))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.grid(axis="x", visible=False)
    axes.set_xlabel("N, tokens of the longest sentence", labelpad=5)


def _log(axes: Axes, text: Callable[[float], str]) -> None:
    axes.set_yscale("log")
    low, high = axes.get_ylim()
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0,) if high / low > 200 else (1.0, 2.0, 5.0)))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: _short(text(value))))


def _short(text: str) -> str:
    figure, space, unit = text.partition(" ")
    return f"{figure.rstrip('0').rstrip('.') if '.' in figure else figure}{space}{unit}"


def _color(system: str) -> str:
    kind = SYSTEMS[system]
    return LIGHT[f"series-{FAMILIES.index(kind[0])}"] if kind else LIGHT["ink"]


def _style(system: str) -> dict[str, Any]:
    """One colour and marker a family."""
    kind, color, paper = SYSTEMS[system], _color(system), LIGHT["paper"]
    around = {"markeredgecolor": paper, "markeredgewidth": 0.8}
    if kind is None:
        return {"color": color, "marker": "*", "markersize": 10} | around
    style = {"color": color, "marker": MARKERS[FAMILIES.index(kind[0])]}
    if kind[1] == SOLID:
        return style | around
    return style | {"markerfacecolor": paper, "markeredgecolor": color, "markeredgewidth": 1.2}
