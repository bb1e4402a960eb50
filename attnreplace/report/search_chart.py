"""Figure of a search: what students cost against how far they go from the teacher."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator

from attnreplace.evaluate.labels import KIND_WORDS
from attnreplace.report.canvas import Chart, add_axes, log_ticks, new_figure, title
from attnreplace.report.labels import Label, Point, place_labels
from attnreplace.report.numbers import short
from attnreplace.report.palette import LIGHT
from attnreplace.report.search import Assigned, Searched

LINE, ALONE = LIGHT["series-0"], LIGHT["muted"]
WITHIN, OVER = LIGHT["series-2"], LIGHT["series-1"]
FAR = 5
"""What loses so many times what is allowed is not shown to scale."""
NAMED = 3
"""So many of the systems beyond the scale are named."""


def search_chart(search: Searched) -> Chart | None:
    """Two panels over one scale of costs; None where nothing is cheaper than the teacher."""
    if not search.verified:
        return None
    cost, measure = search.cost, search.measure
    built = [
        f"{one.replaced} replaced, {cost.change(one.cost)}: {measure.text(one.score or 0)}"
        f"{'' if one.within else ', too much lost'}"
        for one in search.verified
    ]
    return Chart(
        f"search_{search.minimise}",
        f"Chosen by {cost.word}",
        "Above, what is expected of students together: the sum of their divergences from the "
        "teacher when they are alone, in nats, on a logarithmic scale. No other assignment to "
        "sites beats those on the line; squares are bundles at all of their sites. Below, what "
        f"was measured of those that were built; what lost more than {FAR} times what is allowed "
        f"stands at the upper edge. Ringed: the one chosen.{_beyond(search)}",
        f"Chart of {cost.word} against divergence and validation {measure.word}. Built, beside "
        f"the teacher's {measure.text(search.teacher_score)}: {'; '.join(built)}.",
        lambda width: _draw(width, search),
    )


def _beyond(search: Searched) -> str:
    """A sentence on what is not shown: how many systems, and the cheapest of them."""
    beyond = [one for one in search.alone if not _shown(search, one)]
    named = sorted(beyond, key=lambda one: one.cost)[:NAMED]
    names = ", ".join(f"{one.label} ({search.cost.change(one.cost)})" for one in named)
    if len(beyond) > NAMED:
        names = f"{len(beyond)} systems, the cheapest of them {names}"
    return f" Beyond the scale: {names}." if beyond else ""


def _draw(width: int, search: Searched) -> Figure:
    figure, measure = new_figure(width, 470), search.measure
    above, below = add_axes(figure, 50, 224, 14, 28), add_axes(figure, 50, 44, 14, 290)
    low, high = _limits(search)
    for axes in (above, below):
        axes.set_xlim(low, high)
        axes.xaxis.set_major_locator(MaxNLocator(5 if width > 400 else 4))
        axes.xaxis.set_major_formatter(
            FuncFormatter(lambda value, _: short(search.cost.change(value)))
        )
        axes.grid(axis="x", visible=False)
    above.tick_params(labelbottom=False)
    title(above, "Divergence, expected", x=-44)
    title(below, f"Points of validation {measure.word} lost", x=-44)
    unit = f", {search.cost.unit}" if search.cost.unit else ""
    below.set_xlabel(f"{search.cost.word} beyond the teacher's{unit}", labelpad=8)
    _expected(above, search)
    _measured(below, search)
    return figure


def _expected(axes: Axes, search: Searched) -> None:
    """The frontier, what was built of it, and bundles alone."""
    line = [(cost, divergence) for cost, divergence in search.frontier if divergence > 0]
    alone = [one for one in search.alone if _shown(search, one)]
    spots = [(one.cost, one.divergence) for one in alone]
    heights = [y for _, y in [*line, *spots]] or [1.0]
    axes.set_yscale("log")
    low, high = min(heights) / 2, max(heights) * 4
    axes.set_ylim(low, high)
    axes.yaxis.set_major_locator(log_ticks(low, high))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.plot(*zip(*line, strict=True), color=LINE, marker="o" if len(line) < 30 else None, ms=3)
    if spots:
        axes.plot(*zip(*spots, strict=True), "s", color=ALONE, markersize=5)
    built = _mark(axes, search, [one.divergence for one in search.verified])
    narrow = axes.bbox.width < 400
    names = [_without_kind(one.label) if narrow else one.label for one in alone]
    labels = [Label(name, (spot,), ALONE) for name, spot in zip(names, spots, strict=True)]
    # What lies on the frontier, and then what is long, has the fewest places off it.
    labels.sort(key=lambda label: (label.anchors[0] not in line, -len(label.text)))
    place_labels(axes, labels, [*spots, *(spot for spot in built if spot[1] > 0)], [line])


def _measured(axes: Axes, search: Searched) -> None:
    """What was lost, and how much of it is allowed; what is far worse stands at the upper edge."""
    lost = [one.drop for one in search.verified]
    far = FAR * max(search.max_drop, search.measure.step / 2)
    lowest, highest = min([0.0, *lost]), min(max([search.max_drop, *lost]), far)
    room = 0.16 * max(highest - lowest, search.measure.step / 10)
    axes.set_ylim(lowest - room, highest + room)
    axes.yaxis.set_major_locator(MaxNLocator(5))
    axes.axhline(search.max_drop, color=LIGHT["muted"], linewidth=1, linestyle=(0, (4, 3)))
    axes.plot(0, 0, color=LIGHT["ink"], marker="*", markersize=11)
    built = _mark(axes, search, [min(drop, highest) for drop in lost])
    text = search.measure.text
    labels = []
    for one, spot in zip(search.verified, built, strict=True):
        beyond = f", {one.drop:.1f} lost" if one.drop > highest else ""
        color = WITHIN if one.within else OVER
        label = f"{text(one.score or 0)}{beyond}"
        labels.append(Label(label, (spot,), color, bold=_chosen(search, one)))
    labels.append(Label(f"teacher {text(search.teacher_score)}", ((0, 0),), LIGHT["ink"]))
    labels.sort(key=lambda label: not label.bold)
    low, high = axes.get_xlim()
    level = [(low, search.max_drop), (high, search.max_drop)]
    anchors = tuple((low + share * (high - low), search.max_drop) for share in (0.9, 0.5, 0.2))
    allowed = Label("allowed", anchors, LIGHT["muted"], gap=2, angles=(90, 270))
    place_labels(axes, [*labels, allowed], [*built, (0, 0)], [level])


def _mark(axes: Axes, search: Searched, heights: Sequence[float]) -> list[Point]:
    """A mark for each system that was built, and a ring around the chosen one."""
    spots = [(one.cost, y) for one, y in zip(search.verified, heights, strict=True)]
    for one, spot in zip(search.verified, spots, strict=True):
        color, marker = (WITHIN, "o") if one.within else (OVER, "X")
        axes.plot(*spot, color=color, marker=marker, markersize=7)
        if _chosen(search, one):
            axes.plot(*spot, marker="o", markersize=13, color="none", markeredgecolor=WITHIN)
    return spots


def _chosen(search: Searched, one: Assigned) -> bool:
    return search.chosen is not None and one.system == search.chosen.system


def _limits(search: Searched) -> tuple[float, float]:
    """Costs that are shown: those of the frontier, with some room, most of it where more costs."""
    costs = [cost for cost, _ in search.frontier]
    span = max(max(costs) - min(costs), 1)
    return min(costs) - 0.1 * span, max(costs) + 0.35 * span


def _shown(search: Searched, one: Assigned) -> bool:
    low, high = _limits(search)
    return low <= one.cost <= high and one.divergence > 0


def _without_kind(label: str) -> str:
    """A label without what its students are, where there is little room."""
    for words in KIND_WORDS.values():
        label = label.replace(f", {words}", "")
    return label
