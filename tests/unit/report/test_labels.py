import itertools

import matplotlib
import pytest
from matplotlib.axes import Axes
from matplotlib.text import Annotation
from matplotlib.transforms import Bbox

from attnreplace.report.canvas import SETTINGS, add_axes, new_figure
from attnreplace.report.labels import Label, label_ends, place_labels


@pytest.fixture
def axes() -> Axes:
    with matplotlib.rc_context(SETTINGS):
        axes = add_axes(new_figure(350, 300), 30, 30, 30, 30)
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    return axes


def boxes(axes: Axes) -> list[Bbox]:
    """Boxes of the words; a letter's own ascent and descent reach a little further."""
    renderer = axes.figure.canvas.get_renderer()
    texts = [child for child in axes.get_children() if isinstance(child, Annotation)]
    return [text.get_window_extent(renderer).padded(-1.5) for text in texts]


def test_labels_of_crowded_points_do_not_overlap(axes: Axes) -> None:
    points = [(0.5 + 0.03 * i, 0.5 + 0.02 * j) for i in range(3) for j in range(3)]
    labels = [Label(f"L{i}", (point,), "#000000") for i, point in enumerate(points)]
    place_labels(axes, labels, points)
    found = boxes(axes)
    assert len(found) == len(points)
    assert not any(Bbox.intersection(a, b) for a, b in itertools.combinations(found, 2))
    pixels = axes.transData.transform(points)
    assert not any(box.contains(x, y) for box in found for x, y in pixels)


def test_labels_stay_inside(axes: Axes) -> None:
    points = [(1.0, 1.0), (0.0, 0.0), (1.0, 0.0), (0.0, 1.0)]
    place_labels(axes, [Label("corner", (point,), "#000000") for point in points], points)
    frame = axes.bbox.padded(1)
    assert all(frame.x0 <= b.x0 and b.x1 <= frame.x1 for b in boxes(axes))
    assert all(frame.y0 <= b.y0 and b.y1 <= frame.y1 for b in boxes(axes))


def test_a_label_far_from_its_point_is_tied(axes: Axes) -> None:
    place_labels(axes, [Label("alone", ((0.5, 0.5),), "#000000")], [(0.5, 0.5)])
    assert len(axes.lines) == 0
    crowd = [(0.5 + 0.02 * i, 0.5 + 0.02 * j) for i in range(-2, 3) for j in range(-2, 3)]
    place_labels(axes, [Label("crowded", ((0.5, 0.5),), "#000000")], crowd)
    assert len(axes.lines) == 1


def test_equal_ends_are_pushed_apart(axes: Axes) -> None:
    ends = {"XS": (1.0, 0.5), "S": (1.0, 0.5), "M": (1.0, 0.501), "L": (1.0, 0.9)}
    label_ends(axes, [Label(text, (end,), "#000000") for text, end in ends.items()])
    found = sorted(boxes(axes), key=lambda box: box.y0)
    assert all(low.y1 <= high.y0 for low, high in itertools.pairwise(found))
    assert all(box.x0 > axes.bbox.x1 for box in found)
    # The one that stands alone needs no line to its name.
    assert len(axes.lines) == 2


def test_ends_of_lines_of_several_lengths_share_a_column(axes: Axes) -> None:
    ends = {"1": (0.3, 0.99), "2": (1.0, 1.0), "3": (0.6, 0.98), "4": (1.0, 0.0)}
    label_ends(axes, [Label(text, (end,), "#000000") for text, end in ends.items()])
    found = boxes(axes)
    assert max(box.x0 for box in found) - min(box.x0 for box in found) < 2
    assert min(box.x0 for box in found) > axes.bbox.x1
    assert not any(Bbox.intersection(a, b) for a, b in itertools.combinations(found, 2))
    # Crowded at an edge, they stay within the height of the axes.
    assert all(box.y0 > axes.bbox.y0 and box.y1 < axes.bbox.y1 for box in found)
    assert len(axes.lines) == 4
