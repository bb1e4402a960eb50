"""The students' error layer by layer."""

import textwrap
from collections.abc import Collection, Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from attnreplace.report.canvas import SMALL, Chart, add_axes, new_figure, title
from attnreplace.report.numbers import error
from attnreplace.report.palette import LIGHT

LETTER = 6.6
"""The width of a letter of a label, in pixels, a little more than most have."""


def errors_chart(errors: Mapping[str, Mapping[str, float]]) -> Chart | None:
    """Heat map of the relative error by bundle (its label) and site; None where none is known."""
    errors = {label: by_site for label, by_site in errors.items() if by_site}
    if not errors:
        return None
    stacks = list(dict.fromkeys(_stack(site) for row in errors.values() for site in row))

    layers = {stack: _layers(errors, stack) for stack in stacks}
    rows = {stack: _rows(errors, stack) for stack in stacks}
    worst = max(value for row in errors.values() for value in row.values())

    def draw(width: int) -> Figure:
        top, gap = 44.0, 14.0
        left = min(14 + LETTER * max(map(len, errors)), 0.4 * width)
        cell = (width - left - gap * len(stacks)) / sum(map(len, layers.values()))
        # Side by side only where the rows are the same bundles.
        beside = cell >= 34 and len({tuple(shown) for shown in rows.values()}) == 1
        lines = {stack: [_wrapped(label, left) for label in rows[stack]] for stack in stacks}
        blocks = [_row_height(lines[stack]) * len(rows[stack]) for stack in stacks]
        parts = [block + top + gap for block in blocks]
        height = max(parts) if beside else sum(parts)
        figure = new_figure(width, height)
        start, above = left, top
        for i, (stack, block) in enumerate(zip(stacks, blocks, strict=True)):
            end = start + cell * len(layers[stack]) if beside else width - 2
            axes = add_axes(figure, start, height - above - block, width - end, above)
            names = lines[stack] if not beside or i == 0 else [""] * len(lines[stack])
            _heat(axes, stack, layers[stack], rows[stack].values(), worst, names)
            start, above = (end + gap, above) if beside else (start, above + block + top + gap)
        return figure

    return Chart(
        "relative_error",
        "Relative error",
        "Mean squared error of each student on unseen data, relative to the variance of "
        "its target: 0 is perfect, 1 no better than always answering with the mean.",
        "Heat map of the relative error of each bundle at each layer; "
        "the table that follows has the same figures.",
        draw,
        wide=760,
    )


def _heat(
    axes: Axes,
    stack: str,
    layers: Sequence[int],
    errors: Collection[Mapping[str, float]],
    worst: float,
    names: Sequence[str],
) -> None:
    """One stack's part of the heat map: a row a bundle, a column a layer.

    `worst` has the full colour.
    """
    for y, row in enumerate(errors):
        for x, layer in enumerate(layers):
            value = row.get(f"{stack}.{layer}")
            if value is None:
                continue
            depth = min(max(value / max(worst, 1e-9), 0), 1)
            axes.barh(y, 0.96, 0.9, x - 0.48, color=LIGHT["heat"], alpha=0.08 + 0.92 * depth)
            text = error(value) if len(layers) <= 6 else f"{value:.2f}"
            axes.text(x, y, text, ha="center", va="center_baseline", fontsize=SMALL - 0.5)
    axes.set_xlim(-0.5, len(layers) - 0.5)
    axes.set_ylim(len(errors) - 0.5, -0.5)
    axes.set_xticks(range(len(layers)), [str(layer) for layer in layers])
    axes.xaxis.tick_top()
    axes.set_yticks(range(len(errors)), names)
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    title(axes, f"{stack.replace('.', ' ')}-attention, layer", y=24)


def _wrapped(label: str, room: float) -> str:
    """A label in lines that fit into so many pixels beside the axes."""
    return textwrap.fill(label, max(12, int((room - 14) / LETTER)))


def _row_height(labels: Sequence[str]) -> float:
    """The height of the rows of a stack: that of the label with the most lines."""
    return max(24.0, 10 + 13 * max(label.count("\n") + 1 for label in labels))


def _rows(errors: Mapping[str, Mapping[str, float]], stack: str) -> dict[str, Mapping[str, float]]:
    """The bundles that have students in a stack."""
    return {
        label: by_site
        for label, by_site in errors.items()
        if any(_stack(site) == stack for site in by_site)
    }


def _stack(site: str) -> str:
    """`encoder.self` of `encoder.self.3`."""
    return site.rpartition(".")[0]


def _layers(errors: Mapping[str, Mapping[str, float]], stack: str) -> list[int]:
    """The layers of a stack that any bundle has."""
    sites = {site for row in errors.values() for site in row}
    return sorted(int(site.rpartition(".")[2]) for site in sites if _stack(site) == stack)
