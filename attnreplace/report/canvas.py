"""Drawing surface: figures measured in CSS pixels, as SVG for the page and as PNG files.

Text stays text in the SVG, in the page's font, and colours become CSS variables, so that the
figures follow the page's light and dark schemes.
"""

import io
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator

from attnreplace.files import replacing
from attnreplace.report.markup import Markup
from attnreplace.report.palette import LIGHT

WIDE = 520
NARROW = 350
SMALL = 10.5
SETTINGS: Any = {
    "svg.fonttype": "none",
    # Names of bundles and test sets may hold anything, dollar signs too.
    "text.parse_math": False,
    "svg.hashsalt": "attnreplace",
    "font.size": 11.5,
    "text.color": LIGHT["ink"],
    "axes.edgecolor": LIGHT["rule"],
    "axes.labelcolor": LIGHT["muted"],
    "axes.labelsize": SMALL,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": LIGHT["rule"],
    "grid.linewidth": 0.6,
    "xtick.color": LIGHT["rule"],
    "ytick.color": LIGHT["rule"],
    "xtick.labelcolor": LIGHT["muted"],
    "ytick.labelcolor": LIGHT["muted"],
    "xtick.labelsize": SMALL,
    "ytick.labelsize": SMALL,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "lines.linewidth": 1.6,
    "lines.markersize": 6.5,
}


@dataclass(frozen=True)
class Chart:
    """A figure that can be drawn at any width."""

    name: str
    """Stem of its file and prefix of its identifiers."""

    title: str
    caption: str
    alt: str
    """What the figure shows, in words."""

    draw: Callable[[int], Figure]
    """Draws it at a width in pixels."""

    wide: int = WIDE
    """Its width on a wide screen and in its file."""

    def svg(self, width: int) -> Markup:
        """The drawing for the page, without anything that reaches outside it."""
        buffer = io.StringIO()
        nothing = {"Date": None, "Creator": None, "Format": None, "Type": None}
        with matplotlib.rc_context(SETTINGS), _unusual_letters():
            self.draw(width).savefig(buffer, format="svg", metadata=nothing)
        return _inline(buffer.getvalue(), f"{self.name}-{width}", self.alt)

    def save_png(self, path: Path) -> None:
        """Write the wide drawing, light, at two pixels a CSS pixel, with its words in the file."""
        with matplotlib.rc_context(SETTINGS), _unusual_letters():
            figure = self.draw(self.wide)
            with replacing(path) as file:
                figure.savefig(
                    file,
                    format="png",
                    dpi=144,
                    facecolor=LIGHT["paper"],
                    metadata={"Description": self.alt},
                )


def new_figure(width: int, height: float) -> Figure:
    """An empty figure of so many pixels."""
    figure = Figure(figsize=(width / 72, height / 72), dpi=72)
    FigureCanvasAgg(figure)
    return figure


def add_axes(
    figure: Figure, left: float, bottom: float, right: float, top: float, **options: Any
) -> Axes:
    """Axes that keep so many pixels free on each side."""
    width, height = figure.get_size_inches() * 72
    box = (left / width, bottom / height, (width - left - right) / width)
    axes = figure.add_axes((*box, (height - bottom - top) / height), **options)
    axes.tick_params(length=0, pad=5)
    return axes


def log_ticks(low: float, high: float) -> LogLocator:
    """Ticks of a logarithmic scale: the narrower its range, the more a decade."""
    wide = high / low
    fine = (1.0, 1.5, 2.0, 3.0, 5.0, 7.0)
    return LogLocator(subs=(1.0,) if wide > 100 else (1.0, 2.0, 5.0) if wide > 10 else fine)


def title(
    axes: Axes, text: str, x: float = 0, y: float = 8, color: str = "", bold: bool = False
) -> None:
    """A heading so many pixels off the axes' top left corner."""
    axes.annotate(
        text,
        (0, 1),
        (x, y),
        "axes fraction",
        textcoords="offset points",
        color=color or LIGHT["muted"],
        fontsize=SMALL,
        fontweight="bold" if bold else "normal",
    )


@contextmanager
def _unusual_letters() -> Iterator[None]:
    """A name in letters that matplotlib's font lacks is no reason to warn: the page has them."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph")
        yield


def _inline(svg: str, prefix: str, alt: str) -> Markup:
    """Make a drawing fit into a page: unique identifiers, the page's font and colours."""
    svg = svg[svg.index("<svg") :]
    view = re.search(r'viewBox="[^"]*"', svg)
    assert view is not None
    body = svg[svg.index(">") + 1 :]
    body = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>", "", body, flags=re.DOTALL)
    body = re.sub(r'\bid="', f'id="{prefix}-', body)
    body = re.sub(r'(xlink:href="#|url\(#)', rf"\g<1>{prefix}-", body)
    body = re.sub(r"'DejaVu Sans'[^;\"]*", "var(--font)", body)
    for role, color in LIGHT.items():
        body = body.replace(color, f"var(--{role})")
    label = escape(alt)
    return Markup(f'<svg {view.group()} role="img" aria-label="{label}">{body.strip()}')
