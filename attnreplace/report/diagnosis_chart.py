"""Figure of diagnoses: divergence by layer as bars, by position and by length as lines."""

import math
import textwrap
from collections.abc import Callable, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from attnreplace.report.canvas import Chart, add_axes, new_figure, title
from attnreplace.report.diagnosis import Diagnosed, Part, layer_names
from attnreplace.report.diagnosis_tables import BARS, TITLE
from attnreplace.report.palette import LIGHT, MARKERS

SYSTEMS = 4
"""As many are told apart at a glance."""
LETTER = 6.2
"""Width of a letter in pixels, about."""
LINE, ROW, TICKS, PANEL = 15, 84, 30, 130
"""Heights in pixels."""
LEFT, RIGHT, GAP = 46, 10, 26
FAINT = 0.4

Parts = Callable[[Diagnosed], Sequence[Part]]


def diagnosis_chart(diagnoses: Sequence[Diagnosed]) -> Chart | None:
    """The systems that replace most, on the first test set; None where nothing was diagnosed."""
    if not diagnoses:
        return None
    first = [one for one in diagnoses if one.test_set == diagnoses[0].test_set]
    by_scope = sorted(first, key=lambda one: (-len(one.scope.groups), one.overall.divergence))
    shown = by_scope[:SYSTEMS]
    few = f" Of {len(first)} systems those that replace most." if len(first) > len(shown) else ""
    said = [f"{one.label} {one.overall.divergence:.4f}" for one in shown]
    return Chart(
        "diagnosis",
        TITLE,
        f"Divergence from the teacher on “{first[0].test_set}”, in nats a token. {BARS}{few}",
        f"Divergence by layer, position and length. In all: {'; '.join(said)}. The tables that "
        "follow have the same figures.",
        lambda width: _draw(width, shown),
        wide=760,
    )


def _draw(width: int, shown: Sequence[Diagnosed]) -> Figure:
    labels = [one.label if one.layers else f"{one.label} (lines only)" for one in shown]
    names = [textwrap.wrap(label, int((width - RIGHT) / LETTER)) for label in labels]
    layers, highest = layer_names(shown), max(_heights(shown), default=0.0)
    heights = [
        LINE * len(lines) + (8 + ROW + TICKS if one.layers else 0)
        for one, lines in zip(shown, names, strict=True)
    ]
    panels: list[tuple[str, Parts]] = [
        ("By position of the token", lambda one: one.positions),
        ("By tokens of the source", lambda one: one.lengths),
    ]
    columns = 2 if width > 500 else 1
    panel = PANEL + GAP + TICKS
    height = sum(heights) + panel * (len(panels) // columns)
    figure, above = new_figure(width, height), 0
    for index, (one, lines, taken) in enumerate(zip(shown, names, heights, strict=True)):
        top = above + LINE * len(lines) + 8
        high = ROW if one.layers else 1
        axes = add_axes(figure, LEFT, height - top - high, RIGHT, top)
        _name(axes, lines, _color(index))
        _bars(axes, one, layers, _color(index), highest)
        above += taken
    share = width / columns
    for index, (heading, parts) in enumerate(panels):
        row, column = divmod(index, columns)
        top = above + panel * row + GAP
        right = width - (column + 1) * share + RIGHT
        axes = add_axes(figure, column * share + LEFT, height - top - PANEL, right, top)
        title(axes, heading, x=6 - LEFT)
        _lines(axes, shown, parts)
    return figure


def _bars(axes: Axes, one: Diagnosed, names: Sequence[str], color: str, highest: float) -> None:
    """Each layer alone and, beside it, what giving it up would save; all systems to one scale."""
    if not one.layers:
        axes.set_axis_off()
        return
    for layer in one.layers:
        place = names.index(layer.name)
        axes.bar(place - 0.2, layer.alone or 0.0, 0.36, color=color)
        axes.bar(place + 0.2, layer.saved or 0.0, 0.36, color=color, alpha=FAINT)
    _frame(axes, names, highest)
    axes.set_ylim(min(0.0, *(layer.saved or 0.0 for layer in one.layers)), axes.get_ylim()[1])


def _lines(axes: Axes, shown: Sequence[Diagnosed], parts: Parts) -> None:
    # Students of fewer positions than others have fewer bins, or a shorter last one.
    names = list(dict.fromkeys(part.name for one in shown for part in parts(one)))
    names.sort(key=lambda name: int(name.rstrip("+").partition("-")[0]))
    for index, one in enumerate(shown):
        places = [names.index(part.name) for part in parts(one)]
        values = [part.divergence for part in parts(one)]
        marker = MARKERS[index % len(MARKERS)]
        axes.plot(places, values, color=_color(index), marker=marker, markersize=4.5)
    _frame(axes, names, max(part.divergence for one in shown for part in parts(one)))


def _frame(axes: Axes, names: Sequence[str], highest: float) -> None:
    """Names along the bottom, as many as there is room for, and a scale from nothing."""
    needed = len(names) * (LETTER * max(map(len, names)) + 4)
    step = math.ceil(needed / axes.bbox.width)
    axes.set_xticks(range(len(names)), [n if i % step == 0 else "" for i, n in enumerate(names)])
    axes.set_xlim(-0.6, len(names) - 0.4)
    axes.set_ylim(0, 1.12 * highest or 1.0)
    axes.yaxis.set_major_locator(MaxNLocator(4))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.3g}"))
    axes.grid(axis="x", visible=False)


def _heights(shown: Sequence[Diagnosed]) -> list[float]:
    return [v for one in shown for layer in one.layers for v in (layer.alone, layer.saved) if v]


def _name(axes: Axes, lines: Sequence[str], color: str) -> None:
    """A label over as many lines as it takes, the last one nearest to the axes."""
    for index, line in enumerate(lines):
        y = 6 + LINE * (len(lines) - 1 - index)
        title(axes, line, x=6 - LEFT, y=y, color=color, bold=True)


def _color(index: int) -> str:
    return LIGHT[f"series-{index}"]
