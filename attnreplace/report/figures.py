"""Figures of the results: quality against cost, and the students' error layer by layer."""

from collections.abc import Callable, Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from attnreplace.report.canvas import SMALL, Chart, add_axes, new_figure, title
from attnreplace.report.labels import Label, Point, place_labels
from attnreplace.report.palette import LIGHT, Series, Styles, series_of
from attnreplace.report.records import Result, best, of_kind
from attnreplace.report.tables import count, error, milliseconds, score

Cost = Callable[[Result], float | None]
Text = Callable[[float], str]


def parameters_chart(results: Sequence[Result], styles: Styles, place: str = "") -> Chart | None:
    """BLEU against the students' parameters; None where no student was evaluated.

    Args:
        results: of one test set and beam width, and of one scope.
        styles: of the report.
        place: what is replaced, where the report has several such charts.
    """
    students = of_kind(results, "student")
    if not any(student.replacement for student in students):
        return None
    # The attention that every student replaces is the teacher's place on the scale.
    replaced = {student.replaced for student in students if student.replaced}

    def cost(result: Result) -> float | None:
        if result.kind == "teacher":
            return max(replaced) if len(replaced) == 1 else None
        return result.replacement

    label = "parameters of the students, all layers"
    star = " The star is the attention they replace." if len(replaced) == 1 else ""
    return Chart(
        f"quality_parameters{students[0].scope.suffix}",
        _heading(place, "Quality against parameters"),
        f"BLEU against what the students weigh, on a logarithmic scale.{star}",
        _describe(results, "parameters", cost, count),
        lambda width: _quality(width, results, styles, cost, label, count),
    )


def latency_chart(results: Sequence[Result], styles: Styles, place: str = "") -> Chart | None:
    """BLEU against the time to encode one sentence; None where none was measured.

    Where attention of the decoder is replaced, the time to translate it. Arguments as for
    `parameters_chart`.
    """
    students = of_kind(results, "student")
    decodes = any(student.scope.decodes for student in students)

    def cost(result: Result) -> float | None:
        return result.latency[1].generate if decodes else result.latency[1].encoder

    if not any(cost(student) for student in students):
        return None
    devices = sorted({r.device for r in results if r.device})
    where = f" on {' and '.join(devices)}" if devices else ""
    what = "of a greedy translation" if decodes else "of the encoder"
    label = f"milliseconds {'to translate' if decodes else 'in the encoder,'} one sentence"
    return Chart(
        f"quality_latency{students[0].scope.suffix}",
        _heading(place, "Quality against latency"),
        f"BLEU against the median time {what} for one sentence{where}. The star is the teacher.",
        _describe(results, f"milliseconds {what}", cost, milliseconds),
        lambda width: _quality(width, results, styles, cost, label, milliseconds),
    )


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
        row, top, gap = 24, 44, 14
        left = min(14 + 6.6 * max(map(len, errors)), 0.4 * width)
        cell = (width - left - gap * len(stacks)) / sum(map(len, layers.values()))
        # Side by side only where the rows are the same bundles.
        beside = cell >= 34 and len({tuple(shown) for shown in rows.values()}) == 1
        blocks = [row * len(rows[stack]) for stack in stacks]
        parts = [block + top + gap for block in blocks]
        height = max(parts) if beside else sum(parts)
        figure = new_figure(width, height)
        start, above = left, top
        for i, (stack, block) in enumerate(zip(stacks, blocks, strict=True)):
            end = start + cell * len(layers[stack]) if beside else width - 2
            axes = add_axes(figure, start, height - above - block, width - end, above)
            _heat(axes, stack, layers[stack], rows[stack], worst, names=not beside or i == 0)
            start, above = (end + gap, above) if beside else (start, above + block + top + gap)
        return figure

    return Chart(
        "relative_error",
        "Relative error",
        "Mean squared error of each student on unseen sentences, relative to the variance of "
        "its target: 0 is perfect, 1 no better than always answering with the mean.",
        "Heat map of the relative error of each bundle at each layer; "
        "the table that follows has the same figures.",
        draw,
        wide=760,
    )


def _quality(
    width: int, results: Sequence[Result], styles: Styles, cost: Cost, label: str, text: Text
) -> Figure:
    """A line a series of students through its sizes, and a dashed line a baseline."""
    figure = new_figure(width, 380)
    axes = add_axes(figure, 34, 44, 14, 28)
    title(axes, "BLEU", x=-28)
    axes.set_xlabel(label, labelpad=8)
    groups: dict[Series, list[Result]] = {}
    for result in of_kind(results, "student"):
        if cost(result):
            groups.setdefault(series_of(result), []).append(result)
    lines, labels = [], []
    for series, members in groups.items():
        members.sort(key=lambda r: cost(r) or 0)
        line = [(cost(r) or 0, r.bleu.score) for r in members]
        lines.append(line)
        color = styles.color(series)
        axes.plot(
            *zip(*line, strict=True),
            color=color,
            marker=styles.marker(series),
            markeredgecolor=LIGHT["paper"],
            markeredgewidth=0.8,
        )
        # The best point carries the name of its series; at the others the size is enough.
        named = best(members)
        for result, point in zip(members, line, strict=True):
            size = result.size or ""
            name = styles.label(series, size) if result is named else size.upper()
            labels.append(Label(name, (point,), color, bold=result is named))
    stars = [(cost(r) or 0, r.bleu.score) for r in of_kind(results, "teacher") if cost(r)]
    for star in stars:
        axes.plot(*star, color=LIGHT["ink"], marker="*", markersize=11)
    points = [point for line in lines for point in line] + stars
    _scale_x(axes, [x for x, _ in points], text)
    baselines = _baselines(axes, results, [y for _, y in points])
    labels.sort(key=lambda one: not one.bold)
    levels = [[(x, label.anchors[0][1]) for x in axes.get_xlim()] for label in baselines]
    place_labels(axes, [*baselines, *labels], points, [*lines, *levels])
    return figure


def _scale_x(axes: Axes, values: Sequence[float], text: Text) -> None:
    """A logarithmic scale with room at both ends and ticks that say something."""
    low, high = min(values), max(values)
    room = max(high / low, 1.5) ** 0.08
    axes.set_xscale("log")
    axes.set_xlim(low / room, high * room)
    if high / low < 2:
        axes.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
    else:
        subs = (1.0,) if high / low > 100 else (1.0, 2.0, 5.0)
        axes.xaxis.set_major_locator(LogLocator(subs=subs))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _short(text(value))))
    axes.grid(axis="x", visible=False)


def _short(text: str) -> str:
    """A round figure without the zeros behind its point: `10 M` for `10.0 M`."""
    figure, space, unit = text.partition(" ")
    return f"{figure.rstrip('0').rstrip('.') if '.' in figure else figure}{space}{unit}"


def _baselines(axes: Axes, results: Sequence[Result], shown: Sequence[float]) -> list[Label]:
    """Dashed lines for the systems without trained students; also sets the limits of BLEU.

    One far below all that is shown would press everything else together: it is noted at the
    lower edge.
    """
    found = {
        "Teacher": best(of_kind(results, "teacher")),
        "Attention removed": best(of_kind(results, "removed")),
        "Untrained": best(of_kind(results, "untrained")),
    }
    levels = {name: result.bleu.score for name, result in found.items() if result}
    top = max([*shown, *levels.values()])
    span = max(top - min([*shown, levels.get("Teacher", top)]), 2.0)
    far = {name: level for name, level in levels.items() if top - level > 2.2 * span}
    near = {name: level for name, level in levels.items() if name not in far}
    bottom = min([*shown, *near.values()])
    room = 0.09 * (top - bottom) + 0.1
    axes.set_ylim(max(bottom - room * (2 if far else 1), -room), top + room)
    axes.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
    labels = []
    for name, level in near.items():
        axes.axhline(level, color=LIGHT["muted"], linewidth=1, linestyle=(0, (4, 3)))
        anchors = _across(axes, level)
        text = f"{name} {score(level)}"
        labels.append(Label(text, anchors, LIGHT["muted"], gap=2, angles=(90, 270)))
    if far:
        text = "below the scale: " + ", ".join(f"{name.lower()} {score(far[name])}" for name in far)
        anchors = _across(axes, axes.get_ylim()[0])
        labels.append(Label(text, anchors, LIGHT["muted"], gap=2, angles=(90,)))
    return labels


def _across(axes: Axes, y: float) -> tuple[Point, ...]:
    """Points along a level of the axes, from the right to the left."""
    to_data = (axes.transScale + axes.transLimits).inverted()
    shares = (0.82, 0.7, 0.6, 0.5, 0.4, 0.25, 0.15)
    return tuple((float(to_data.transform((share, 0))[0]), y) for share in shares)


def _heat(
    axes: Axes,
    stack: str,
    layers: Sequence[int],
    errors: Mapping[str, Mapping[str, float]],
    worst: float,
    names: bool,
) -> None:
    """One stack's part of the heat map: a row a bundle, a column a layer.

    `worst` has the full colour.
    """
    for y, row in enumerate(errors.values()):
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
    axes.set_yticks(range(len(errors)), list(errors) if names else [""] * len(errors))
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    title(axes, f"{stack.replace('.', ' ')}-attention, layer", y=24)


def _describe(results: Sequence[Result], what: str, cost: Cost, text: Text) -> str:
    """The points of a figure in words."""
    points = [
        f"{r.label} {score(r.bleu.score)} at {text(value)}"
        for r in of_kind(results, "student")
        if (value := cost(r))
    ]
    lines = [f"{r.label} {score(r.bleu.score)}" for r in results if r.kind != "student"]
    return (
        f"Chart of BLEU against {what}. Students: {', '.join(points)}. Lines: {', '.join(lines)}."
    )


def _heading(place: str, title: str) -> str:
    return f"{place}: {title[:1].lower()}{title[1:]}" if place else title


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
