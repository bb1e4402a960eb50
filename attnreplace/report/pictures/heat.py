"""Heat maps of one or two hues over the paper, whatever its colour.

A map is one small image of a hue that is seen as well on light as on dark paper, the more opaque
the larger the value, so that it needs no colours of its own for each scheme.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from attnreplace.report.canvas import SMALL
from attnreplace.report.palette import LIGHT
from attnreplace.report.pictures.picture import Panel, Values

POSITIVE, NEGATIVE = (0x2E, 0x86, 0xC8), (0xD9, 0x62, 0x2B)
GAMMA = 0.6
"""Opacity is the value to this power: small parts can be told from none."""
SPACE = 13.0
"""Least pixels from one number on an axis to the next."""


@dataclass(frozen=True)
class Scale:
    """What the full colour means."""

    kind: str
    most: float

    def colors(self, values: Values) -> "np.ndarray":
        """RGBA in bytes, `(rows, columns, 4)`."""
        there = np.nan_to_num(values / self.most)
        depth = np.clip(np.abs(there), 0, 1) ** GAMMA
        hue = np.where(there[..., None] < 0, NEGATIVE, POSITIVE)
        return np.concatenate([hue, 255 * depth[..., None]], -1).round().astype(np.uint8)


def draw_map(
    axes: Axes, panel: Panel, scale: Scale, font: float, rows: bool, columns: bool
) -> None:
    """A map, its first row on top.

    Args:
        axes: of its size.
        panel: the map.
        scale: of its kind.
        font: size of the labels of tokens.
        rows: whether its rows are labelled.
        columns: whether its columns are labelled.
    """
    height, width = panel.values.shape
    box = (-0.5, width - 0.5, height - 0.5, -0.5)
    axes.imshow(scale.colors(panel.values), interpolation="none", aspect="auto", extent=box)
    _frame(axes)
    # Plain texts: ticks would take most of the time of a drawing.
    cell = axes.bbox.width / width
    for at, label in _shown(panel.rows if rows else (), cell):
        _text(axes, (-0.5 - 3 / cell, at), label, font, ha="right", va="center_baseline")
    for at, label in _shown(panel.columns if columns else (), cell):
        turned = 0 if label.isdecimal() else 90
        place = (at, height - 0.5 + 4 / cell)
        _text(axes, place, label, font, ha="center", va="top", rotation=turned)


def draw_scale(axes: Axes, scale: Scale) -> None:
    """A strip with the colours of a scale."""
    low = 0.0 if scale.kind == "share" else -scale.most
    values = np.linspace(low, scale.most, 128, dtype=np.float32)[None]
    box = (low, scale.most, 0, 1)
    axes.imshow(scale.colors(values), interpolation="none", aspect="auto", extent=box)
    _frame(axes)
    for tick in MaxNLocator(4).tick_values(low, scale.most):
        if low <= tick <= scale.most:
            label = f"{tick:.2g}".replace("-", "\u2212")
            _text(axes, (tick, -0.4), label, SMALL - 1, ha="center", va="top")
    what = "share of the row" if scale.kind == "share" else "weight"
    end = scale.most + 8 * (scale.most - low) / axes.bbox.width
    _text(axes, (end, 0.5), what, SMALL - 1, va="center_baseline")


def _frame(axes: Axes) -> None:
    axes.grid(visible=False)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(True)
    axes.spines[:].set_linewidth(0.6)


def _shown(labels: tuple[str, ...], cell: float) -> Iterator[tuple[int, str]]:
    """The labels there is room for and where they stand: all tokens, some of the numbers."""
    numbers = all(label.isdecimal() for label in labels)
    step = max(1, int(-(-SPACE // cell))) if numbers else 1
    for i in range(step - 1, len(labels), step):
        yield i, labels[i]


def _text(axes: Axes, place: tuple[float, float], label: str, font: float, **options: Any) -> None:
    axes.text(*place, label, color=LIGHT["muted"], fontsize=font, **options)
