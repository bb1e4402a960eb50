"""Curves of the spatial weights: by distance, and how Toeplitz they are layer by layer."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from attnreplace.report.canvas import SMALL
from attnreplace.report.palette import LIGHT
from attnreplace.report.pictures.picture import Panel


def draw_profile(axes: Axes, panel: Panel, limits: tuple[float, float]) -> None:
    """A weight for each distance j - i of two positions."""
    length = panel.values.shape[1]
    distance = np.arange(length) - length // 2
    axes.axhline(0, color=LIGHT["rule"], linewidth=1)
    for curve in panel.values:
        axes.plot(distance, curve, color=LIGHT["series-0"], linewidth=1.3)
    axes.set_xlim(distance[0] - 0.5, distance[-1] + 0.5)
    axes.set_ylim(*limits)
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True, symmetric=True))
    axes.yaxis.set_major_locator(MaxNLocator(4))
    axes.tick_params(pad=3, labelsize=SMALL - 1.5)


def draw_layers(axes: Axes, panel: Panel) -> None:
    """A share for every layer, and the level of random weights."""
    shares = panel.values[0]
    place = np.arange(len(shares))
    axes.plot(place, shares, "o", color=LIGHT["series-0"], markersize=5)
    if panel.level is not None:
        axes.axhline(panel.level, color=LIGHT["muted"], linewidth=1, linestyle=(0, (4, 3)))
        axes.annotate(
            "random",
            (1, panel.level),
            (-2, 3),
            ("axes fraction", "data"),
            textcoords="offset points",
            ha="right",
            color=LIGHT["muted"],
            fontsize=SMALL - 1.5,
        )
    axes.set_xlim(-0.6, len(shares) - 0.4)
    axes.set_ylim(0, 1.05)
    step = max(1, len(shares) // 8)
    axes.set_xticks(place[::step], panel.columns[::step])
    axes.set_yticks([0, 0.25, 0.5, 0.75, 1], ["0", "25 %", "50 %", "75 %", "100 %"])
    axes.grid(axis="x", visible=False)
    axes.tick_params(pad=3, labelsize=SMALL - 1.5)
