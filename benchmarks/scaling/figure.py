"""The figure of the page: parameters, time and error over the length of the sentence."""

import math
from collections.abc import Callable

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullLocator

from attnreplace.report.canvas import SMALL, Chart, add_axes, new_figure, title
from attnreplace.report.numbers import count
from attnreplace.report.palette import LIGHT, MARKERS
from benchmarks.scaling.cost_tables import NAMES, duration
from benchmarks.scaling.quality_tables import errors
from benchmarks.scaling.results import Results
from benchmarks.scaling.shapes import ATTENTION, LENGTHS, SYSTEMS, Shape

WIDTH = 128
"""d_model of the costs."""
SLOTS = {name: slot for slot, name in enumerate(n for n in SYSTEMS if n != ATTENTION)}
PANELS = (("sentence", "train", "training step, encoder"), ("prefix", "step", "decoding step"))
HIGH, GAP, TOP, FOOT = 210, 62, 30, 88


def chart(results: Results) -> Chart:
    """Four panels; what is measured has a marker, what is fitted a dashed line."""
    return Chart(
        "scaling",
        "Scaling",
        f"Costs at d {WIDTH}; filled markers are measured, dashed lines fitted.",
        "Parameters, seconds and relative error against the length of the sentence.",
        lambda width: _draw(width, results),
        wide=820,
    )


def _draw(width: int, results: Results) -> Figure:
    height = TOP + 2 * HIGH + GAP + FOOT
    figure = new_figure(width, height)
    boxes = [(row, column) for row in range(2) for column in range(2)]
    axes = []
    for row, column in boxes:
        bottom = FOOT + (1 - row) * (HIGH + GAP)
        left = 58 + column * width / 2
        axes.append(
            add_axes(figure, left, bottom, width - left - width / 2 + 76, height - bottom - HIGH)
        )
    _parameters(axes[0], results)
    for one, (form, what, name) in zip(axes[1:3], PANELS, strict=True):
        _seconds(one, results, form, what, name)
    _errors(axes[3], results)
    for one in axes:
        _lengths(one)
    handles = axes[0].get_lines()[: len(SYSTEMS)]
    figure.legend(
        handles,
        NAMES.values(),
        loc="lower center",
        ncols=4,
        frameon=False,
        fontsize=SMALL,
        labelcolor=LIGHT["ink"],
    )
    return figure


def _parameters(axes: Axes, results: Results) -> None:
    title(axes, f"parameters of an encoder layer, d {WIDTH}", x=-40)
    for system in SYSTEMS:
        shapes = [Shape("sentence", n, WIDTH) for n in LENGTHS]
        values = [results.size(system, shape, "parameters") for shape in shapes]
        axes.plot(LENGTHS, values, color=_color(system), marker=_marker(system), **_edge(system))
    _log(axes, count)


def _seconds(axes: Axes, results: Results, form: str, what: str, name: str) -> None:
    title(axes, f"{name}, d {WIDTH}", x=-40)
    for system in SYSTEMS:
        costs = [results.cost(system, Shape(form, n, WIDTH), what) for n in LENGTHS]
        every = [cost.seconds if cost else math.nan for cost in costs]
        known = [cost.seconds if cost and cost.measured else math.nan for cost in costs]
        color = _color(system)
        axes.plot(LENGTHS, every, color=color, linestyle=(0, (3, 2)), linewidth=1)
        axes.plot(LENGTHS, known, color=color, marker=_marker(system), **_edge(system))
    _log(axes, duration)


def _errors(axes: Axes, results: Results) -> None:
    """Lines of the encoder are whole, those of cross-attention dotted; the smaller width."""
    found = errors(results)
    width = min((place[0] for rows in found.values() for place in rows), default=WIDTH)
    title(axes, f"relative error, d {width} (dotted: cross)", x=-40)
    for (group, family, size), rows in found.items():
        line = sorted(
            (n, row["relative_mse"]) for (d, n, h), row in rows.items() if (d, h) == (width, 1)
        )
        system = f"{family}-{size}"
        if line:
            axes.plot(
                *zip(*line, strict=True),
                color=_color(system),
                marker=_marker(system),
                linestyle="-" if group == "encoder" else ":",
                **_edge(system),
            )
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
    return LIGHT["ink"] if system == ATTENTION else LIGHT[f"series-{SLOTS[system]}"]


def _marker(system: str) -> str:
    return "*" if system == ATTENTION else MARKERS[SLOTS[system]]


def _edge(system: str) -> dict[str, object]:
    size = {"markersize": 10} if system == ATTENTION else {}
    return {"markeredgecolor": LIGHT["paper"], "markeredgewidth": 0.8} | size
