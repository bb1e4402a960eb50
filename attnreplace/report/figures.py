"""Figures of the results: quality against cost."""

from collections.abc import Callable, Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator

from attnreplace.report.canvas import Chart, add_axes, log_ticks, new_figure, title
from attnreplace.report.labels import Label, Point, place_labels
from attnreplace.report.metrics import Measure
from attnreplace.report.numbers import count, milliseconds, short
from attnreplace.report.palette import LIGHT, Series, Styles, series_of
from attnreplace.report.result import Result
from attnreplace.report.selection import best, of_kind

Cost = Callable[[Result], float | None]
Text = Callable[[float], str]


def parameters_chart(results: Sequence[Result], styles: Styles, place: str = "") -> Chart | None:
    """The score against the students' parameters; None where no student was evaluated.

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
        f"{_what(results)} against what the students weigh, on a logarithmic scale.{star}",
        _describe(results, "parameters", cost, count),
        lambda width: _quality(width, results, styles, cost, label, count),
    )


def latency_chart(results: Sequence[Result], styles: Styles, place: str = "") -> Chart | None:
    """The score against the time to encode one example; None where none was measured.

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
    one = f"one {'text' if results[0].task == 'mlm' else results[0].example}"
    label = f"milliseconds {'to translate' if decodes else 'in the encoder,'} {one}"
    return Chart(
        f"quality_latency{students[0].scope.suffix}",
        _heading(place, "Quality against latency"),
        f"{_what(results)} against the median time {what} for {one}{where}, on a logarithmic "
        "scale. The star is the teacher.",
        _describe(results, f"milliseconds {what}", cost, milliseconds),
        lambda width: _quality(width, results, styles, cost, label, milliseconds),
    )


def _quality(
    width: int, results: Sequence[Result], styles: Styles, cost: Cost, label: str, text: Text
) -> Figure:
    """A line a series of students through its sizes, and a dashed line a baseline."""
    figure = new_figure(width, 380)
    axes = add_axes(figure, 34, 44, 14, 28)
    measure = results[0].measure
    title(axes, measure.label, x=-28)
    axes.set_xlabel(label, labelpad=8)
    groups: dict[Series, list[Result]] = {}
    for result in of_kind(results, "student"):
        if cost(result):
            groups.setdefault(series_of(result), []).append(result)
    lines, labels = [], []
    for series, members in groups.items():
        members.sort(key=lambda r: cost(r) or 0)
        line = [(cost(r) or 0, r.score) for r in members]
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
    stars = [(cost(r) or 0, r.score) for r in of_kind(results, "teacher") if cost(r)]
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
        axes.xaxis.set_major_locator(log_ticks(low, high))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: short(text(value))))
    axes.grid(axis="x", visible=False)


def _baselines(axes: Axes, results: Sequence[Result], shown: Sequence[float]) -> list[Label]:
    """Dashed lines for the systems without trained students; also sets the limits of the scores.

    One far worse than all that is shown would press everything else together: it is noted at the
    edge, the lower one where higher is better.
    """
    untrained = of_kind(results, "untrained")
    found = {
        "Teacher": best(of_kind(results, "teacher")),
        **{result.label: result for result in of_kind(results, "scratch")},
        "Attention removed": best(of_kind(results, "removed")),
        "Best untrained" if len(untrained) > 1 else "Untrained": best(untrained),
    }
    measure, levels = results[0].measure, {n: r.score for n, r in found.items() if r}
    near, far = _limits(axes, measure, levels, shown)
    axes.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
    labels = []
    for name, level in near.items():
        axes.axhline(level, color=LIGHT["muted"], linewidth=1, linestyle=(0, (4, 3)))
        anchors = _across(axes, level)
        text = f"{name} {measure.text(level)}"
        labels.append(Label(text, anchors, LIGHT["muted"], gap=2, angles=(90, 270)))
    if far:
        names = ", ".join(f"{name.lower()} {measure.text(far[name])}" for name in far)
        worst, up = (0, 90) if measure.higher_is_better else (1, 270)
        text = f"{'above' if worst else 'below'} the scale: {names}"
        anchors = _across(axes, axes.get_ylim()[worst])
        labels.append(Label(text, anchors, LIGHT["muted"], gap=2, angles=(up,)))
    return labels


def _limits(
    axes: Axes, measure: Measure, levels: Mapping[str, float], shown: Sequence[float]
) -> tuple[dict[str, float], dict[str, float]]:
    """Set the limits of the scores; returns the levels within them, and those far worse."""
    signed = {name: measure.sign * level for name, level in levels.items()}
    seen = [measure.sign * score for score in shown]
    top = max([*seen, *signed.values()])
    span = max(top - min([*seen, signed.get("Teacher", top)]), 2 * measure.step)
    far = {name: levels[name] for name, level in signed.items() if top - level > 2.2 * span}
    near = {name: level for name, level in levels.items() if name not in far}
    bottom = min([*seen, *(signed[name] for name in near)])
    room = 0.09 * (top - bottom) + 0.1 * measure.step
    worst = bottom - room * (2 if far else 1)
    if measure.higher_is_better:
        worst = max(worst, -room)  # No score is below zero.
    axes.set_ylim(*sorted((measure.sign * worst, measure.sign * (top + room))))
    return near, far


def _across(axes: Axes, y: float) -> tuple[Point, ...]:
    """Points along a level of the axes, from the right to the left."""
    to_data = (axes.transScale + axes.transLimits).inverted()
    shares = (0.82, 0.7, 0.6, 0.5, 0.4, 0.25, 0.15)
    return tuple((float(to_data.transform((share, 0))[0]), y) for share in shares)


def _describe(results: Sequence[Result], what: str, cost: Cost, text: Text) -> str:
    """The points of a figure in words."""
    points = [
        f"{r.label} {r.measure.text(r.score)} at {text(value)}"
        for r in of_kind(results, "student")
        if (value := cost(r))
    ]
    lines = [f"{r.label} {r.measure.text(r.score)}" for r in results if r.kind != "student"]
    return (
        f"Chart of {results[0].measure.word} against {what}. Students: {', '.join(points)}. "
        f"Lines: {', '.join(lines)}."
    )


def _what(results: Sequence[Result]) -> str:
    """The score at the beginning of a sentence; where less is more, it is said."""
    measure = results[0].measure
    word = measure.word[:1].upper() + measure.word[1:]
    return word if measure.higher_is_better else f"{word} (lower is better)"


def _heading(place: str, title: str) -> str:
    return f"{place}: {title[:1].lower()}{title[1:]}" if place else title
