"""Draw pictures: rows of panels under headings, and the colour scales below them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

from attnreplace.report.canvas import SMALL, WIDE, Chart, add_axes, new_figure, title
from attnreplace.report.palette import LIGHT
from attnreplace.report.pictures.curves import draw_layers, draw_profile
from attnreplace.report.pictures.heat import Scale, draw_map, draw_scale
from attnreplace.report.pictures.picture import Block, Panel, Picture

PAGE = 760
"""Width of a picture on a wide screen, in pixels."""
ACROSS = 3
"""Most panels side by side."""
HEADING, TITLE, GAP, FOOT, BAR = 24, 20, 14, 26, 44
"""Pixels: of a heading, of a panel's title, between panels, below curves, of a colour scale."""
CURVE = 130
"""Height of curves that stand alone."""


def chart(picture: Picture) -> Chart:
    """The picture as a figure of the report."""
    return Chart(
        picture.name,
        picture.title,
        picture.caption,
        picture.alt,
        lambda width: _draw(picture, width),
        wide=PAGE,
    )


@dataclass(frozen=True)
class _Layout:
    """Sizes in pixels that all panels of a picture share."""

    across: int
    left: float
    """Room for the labels of rows, and of the values of curves."""
    wide: float
    """Width of a panel."""

    def cell(self, panel: Panel) -> float:
        """Edge of a cell of a map."""
        return self.wide / panel.values.shape[1]

    def high(self, panel: Panel) -> float:
        """Height of a panel: a map has square cells."""
        return self.cell(panel) * len(panel.values) if _is_map(panel) else CURVE

    def font(self, panel: Panel) -> float:
        """Size of the labels of a map."""
        return min(SMALL - 1, max(0.82 * self.cell(panel), 6.5))


def _draw(picture: Picture, width: int) -> Figure:
    layout = _layout(picture, width)
    lines = [(block, line) for block in picture.blocks for line in _lines(block, layout)]
    scales = [s for kind in ("share", "signed") if (s := _scale(picture, kind))]
    heights = [_height(block, line, layout) for block, line in lines]
    figure = new_figure(width, sum(heights) + BAR * len(scales))
    total, above = sum(heights) + BAR * len(scales), 0.0
    by_kind = {scale.kind: scale for scale in scales}
    curves = _limits([p for p in picture.panels if p.kind == "profile"])
    for (block, line), height in zip(lines, heights, strict=True):
        start = above + TITLE
        if block.heading and line[0] == 0:
            start += HEADING
        tallest = max(layout.high(block.panels[i]) for i in line)
        for column, i in enumerate(line):
            panel = block.panels[i]
            high = layout.high(panel) if _is_map(panel) else tallest
            left = layout.left + column * (layout.wide + _between(picture, layout))
            right = width - left - layout.wide
            axes = add_axes(figure, left, total - start - high, right, start)
            if block.heading and i == 0:
                title(
                    axes, block.heading, x=-layout.left, y=TITLE + 8, color=LIGHT["ink"], bold=True
                )
            title(axes, panel.title, y=6)
            if _is_map(panel):
                first = column == 0 or panel.rows != block.panels[i - 1].rows
                last = i + layout.across >= len(block.panels)
                draw_map(axes, panel, by_kind[panel.kind], layout.font(panel), first, last)
            elif panel.kind == "profile":
                draw_profile(axes, panel, curves)
            else:
                draw_layers(axes, panel)
        above += height
    for i, scale in enumerate(scales):
        bottom = BAR * (len(scales) - 1 - i) + 22
        axes = add_axes(figure, layout.left, bottom, width - layout.left - 180, total - bottom - 9)
        draw_scale(axes, scale)
    return figure


def _layout(picture: Picture, width: int) -> _Layout:
    maps = [panel for panel in picture.panels if _is_map(panel)]
    most = max(len(block.panels) for block in picture.blocks)
    across = min(most, ACROSS if width >= WIDE else 2)
    if any(not _is_map(panel) for panel in picture.panels) and width < WIDE:
        across = 1
    letters = max((len(label) for panel in maps for label in panel.rows), default=0)
    left = max(6.2 * letters + 10, 40 if len(maps) < len(picture.panels) else 8)
    rough = _Layout(across, left, 0)
    room = width - left - 4 - _between(picture, rough) * (across - 1)
    # A lone map has no need to fill the page.
    return _Layout(across, left, min(room / across, 330))


def _between(picture: Picture, layout: _Layout) -> float:
    """Pixels between panels side by side: curves have labels of their own."""
    return layout.left if any(not _is_map(panel) for panel in picture.panels) else GAP


def _lines(block: Block, layout: _Layout) -> list[range]:
    """The panels of a block, line by line."""
    count = len(block.panels)
    return [range(i, min(i + layout.across, count)) for i in range(0, count, layout.across)]


def _height(block: Block, line: range, layout: _Layout) -> float:
    """Of a line of panels with all that stands above and below it."""
    panels = [block.panels[i] for i in line]
    high = TITLE + GAP + max(layout.high(panel) for panel in panels)
    if block.heading and line[0] == 0:
        high += HEADING
    # Labels of a panel with nothing under it hang into the empty place.
    foot = line[-1] + 1 == len(block.panels)
    return high + (max(_foot(panel, layout) for panel in panels) if foot else 0)


def _foot(panel: Panel, layout: _Layout) -> float:
    """Room for what stands below a panel."""
    if not _is_map(panel):
        return FOOT
    if all(label.isdecimal() for label in panel.columns):
        return 16 if panel.columns else 0
    return 0.62 * layout.font(panel) * max(map(len, panel.columns), default=0) + 8


def _scale(picture: Picture, kind: str) -> Scale | None:
    values = [panel.values for panel in picture.panels if panel.kind == kind]
    if not values:
        return None
    most = max(float(np.nanmax(np.abs(one))) for one in values)
    # Even shares of a row are to look even, not all at their most.
    return Scale(kind, max(most, 0.25) if kind == "share" else most or 1.0)


def _limits(panels: Sequence[Panel]) -> tuple[float, float]:
    """Limits that hold all curves."""
    if not panels:
        return 0.0, 1.0
    low = min(min(float(np.nanmin(panel.values)) for panel in panels), 0)
    high = max(max(float(np.nanmax(panel.values)) for panel in panels), 0)
    room = 0.08 * (high - low) or 1.0
    return low - room, high + room


def _is_map(panel: Panel) -> bool:
    return panel.kind in ("share", "signed")
