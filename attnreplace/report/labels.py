"""Labels beside what they name, placed so that they cover nothing."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from numpy.typing import ArrayLike, NDArray

from attnreplace.report.canvas import SMALL

Point = tuple[float, float]
Boxes = NDArray[np.float64]
"""(boxes, 4): left, bottom, right, top, in pixels."""

STEPS = (0.0, 5.0, 12.0, 20.0, 30.0, 42.0)
AROUND = (90, 270, 0, 180, 45, 135, 315, 225, 22, 158, 338, 202)
BEFORE_TIE = 9.0


@dataclass(frozen=True)
class Label:
    """Text that names a point, or a line that runs through several."""

    text: str
    anchors: tuple[Point, ...]
    """Where it may be attached, in data coordinates, the preferred first."""

    color: str
    bold: bool = False
    gap: float = 6.0
    """Pixels to keep free between the anchor and the text."""

    angles: tuple[int, ...] = AROUND
    """Sides of the anchor where the text may stand, the preferred first."""


def place_labels(
    axes: Axes,
    labels: Sequence[Label],
    points: Sequence[Point] = (),
    lines: Sequence[Sequence[Point]] = (),
) -> None:
    """Write labels where they cover least of points, lines and one another.

    Greedy: each label in turn takes the cheapest of its places; one that has to move away is
    tied to its anchor by a thin line, which is kept off the other labels. A label with several
    anchors leaves the room close to points to the others. Points and lines are in data
    coordinates; the axes' limits have to be final.
    """
    spots = [_pixels(axes, point) for point in points]
    marked, near = _boxes(spots, 9, 9), _boxes(spots, 36, 36)
    crossed = _boxes([spot for line in lines for spot in _walk(axes, line)], 2, 2)
    named = _boxes([], 0, 0)
    frame = np.array([axes.bbox.extents])
    for label in labels:
        width, height = text_size(axes, label.text, label.bold)
        anchors, steps, centers = _places(axes, label, width, height)
        boxes = _boxes(centers, width, height)
        ties = _ties(np.array([_pixels(axes, anchor) for anchor in anchors]), boxes)
        tied = steps > BEFORE_TIE
        price = (
            40 * (width * height - _overlap(boxes, frame))
            + 20 * _overlap(boxes, np.concatenate([marked, named]))
            + 12 * _overlap(boxes, crossed)
            + 20 * tied * sum(_overlap(_boxes(part, 2, 2), named) for part in ties)
            + (0.1 * _overlap(boxes, near) if len(label.anchors) > 1 else 0)
            + steps
            + 0.1 * np.arange(len(boxes))
        )
        best = int(price.argmin())
        named = np.concatenate([named, boxes[best : best + 1]])
        if tied[best]:
            crossed = np.concatenate([crossed, _boxes(ties[:, best], 2, 2)])
            tie(axes, ties[0, best], ties[-1, best], label.color)
        write(axes, label.text, anchors[best], centers[best], label.color, label.bold)


def label_ends(axes: Axes, ends: Sequence[Label]) -> None:
    """Name lines at their right ends, in a column behind the last of them, pushed apart vertically.

    Of each label the first anchor is the end of its line. The column keeps to the height of the
    axes, as long as it is no taller.
    """
    gap, line_height = 8.0, SMALL + 0.5
    frame = axes.bbox.y0, axes.bbox.y1
    ordered = sorted(ends, key=lambda end: end.anchors[0][1])
    spots = [_pixels(axes, end.anchors[0]) for end in ordered]
    heights = [y for _, y in spots]
    # Pool neighbours that are too close and centre each pool on what it names.
    pools: list[list[float]] = []
    for height in heights:
        pools.append([height])
        while len(pools) > 1 and (
            _bottom(pools[-2], line_height, frame) + len(pools[-2]) * line_height
            > _bottom(pools[-1], line_height, frame)
        ):
            last = pools.pop()
            pools[-1] += last
    placed = [
        _bottom(pool, line_height, frame) + (i + 0.5) * line_height
        for pool in pools
        for i in range(len(pool))
    ]
    column = max((x for x, _ in spots), default=0.0) + gap
    for end, (x, y), height in zip(ordered, spots, placed, strict=True):
        if abs(height - y) > 2 or x + gap < column - 2:
            tie(axes, (x, y), (column - 1, height), end.color)
        width, _ = text_size(axes, end.text, end.bold)
        center = column + width / 2, height
        write(axes, end.text, end.anchors[0], center, end.color, end.bold)


def write(
    axes: Axes, text: str, anchor: Point, center: Point, color: str, bold: bool = False
) -> None:
    """Text around `center` (pixels) that stays at this distance from `anchor` (data)."""
    x, y = _pixels(axes, anchor)
    axes.annotate(
        text,
        anchor,
        (center[0] - x, center[1] - y),
        textcoords="offset points",
        color=color,
        fontsize=SMALL,
        fontweight="bold" if bold else "normal",
        ha="center",
        va="center_baseline",
        annotation_clip=False,
    )


def tie(axes: Axes, start: ArrayLike, end: ArrayLike, color: str) -> None:
    """A thin line between two places in pixels."""
    (x0, y0), (x1, y1) = axes.transData.inverted().transform(np.array([start, end]))
    axes.plot(
        [x0, x1],
        [y0, y1],
        color=color,
        linewidth=0.6,
        alpha=0.7,
        clip_on=False,
        scalex=False,
        scaley=False,
    )


def text_size(axes: Axes, text: str, bold: bool) -> tuple[float, float]:
    """Width and height of a label in pixels."""
    canvas = cast(FigureCanvasAgg, axes.figure.canvas)
    weight = "bold" if bold else "normal"
    probe = axes.text(0.5, 0.5, text, fontsize=SMALL, fontweight=weight)
    box = probe.get_window_extent(canvas.get_renderer())
    probe.remove()
    return box.width + 2, SMALL + 1


def _places(
    axes: Axes, label: Label, width: float, height: float
) -> tuple[list[Point], NDArray[np.float64], list[Point]]:
    """Every place that a label may take: its anchor, the extra distance, the text's centre."""
    anchors, steps, centers = [], [], []
    for anchor, step, angle in itertools.product(label.anchors, STEPS, label.angles):
        x, y = _pixels(axes, anchor)
        across, up = math.cos(math.radians(angle)), math.sin(math.radians(angle))
        far = label.gap + step
        anchors.append(anchor)
        steps.append(step)
        centers.append((x + across * (far + width / 2), y + up * (far + height / 2)))
    return anchors, np.array(steps), centers


def _ties(starts: NDArray[np.float64], boxes: Boxes) -> NDArray[np.float64]:
    """Points on the way from each anchor to the nearest place on its box, (points, boxes, 2)."""
    ends = starts.clip(boxes[:, :2], boxes[:, 2:])
    way = np.linspace(0, 1, 9)[:, None, None]
    points: NDArray[np.float64] = starts + way * (ends - starts)
    return points


def _pixels(axes: Axes, point: Point) -> Point:
    x, y = axes.transData.transform(point)
    return float(x), float(y)


def _boxes(centers: ArrayLike, width: float, height: float) -> Boxes:
    """Boxes of one size around points."""
    middle = np.array(centers, dtype=np.float64).reshape(-1, 2)
    half = np.array([width / 2, height / 2])
    return np.concatenate([middle - half, middle + half], axis=1)


def _overlap(boxes: Boxes, others: Boxes) -> NDArray[np.float64]:
    """Area that each box shares with the others together, (boxes,)."""
    low = np.maximum(boxes[:, None, :2], others[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], others[None, :, 2:])
    shared: NDArray[np.float64] = (high - low).clip(min=0).prod(axis=2).sum(axis=1)
    return shared


def _walk(axes: Axes, line: Sequence[Point]) -> list[Point]:
    """Points every few pixels along a line, in pixels."""
    spots = []
    corners = [_pixels(axes, point) for point in line]
    for (x0, y0), (x1, y1) in itertools.pairwise(corners):
        n = max(1, int(math.hypot(x1 - x0, y1 - y0) / 4))
        spots += [(x0 + (x1 - x0) * i / n, y0 + (y1 - y0) * i / n) for i in range(n)]
    return spots


def _bottom(pool: Sequence[float], line_height: float, frame: tuple[float, float]) -> float:
    """Where names begin that are centred on what they name, as far as the frame allows it."""
    height = len(pool) * line_height
    return max(frame[0], min(sum(pool) / len(pool) - height / 2, frame[1] - height))
