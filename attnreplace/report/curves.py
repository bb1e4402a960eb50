"""Figures of the training: the teacher's curves and the students' error over the epochs."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter

from attnreplace.report.canvas import WIDE, Chart, add_axes, log_ticks, new_figure, title
from attnreplace.report.labels import Label, Point, label_ends, place_labels
from attnreplace.report.metrics import Measure
from attnreplace.report.numbers import error
from attnreplace.report.palette import LIGHT, Series, Styles
from attnreplace.report.scopes import Scope
from attnreplace.report.training import BundleTraining, Epoch, labels_by_name


def teacher_chart(history: Sequence[Epoch], harder: str = "") -> Chart | None:
    """The teacher's losses and validation score; None where it was not trained here.

    Args:
        history: its epochs.
        harder: what only the training loss has, as of `made_harder`.
    """
    train = [(e.epoch, e.train_loss) for e in history if e.train_loss is not None]
    validation = [(e.epoch, e.validation_loss) for e in history if e.validation_loss is not None]
    scores = [(e.epoch, e.score) for e in history if e.score is not None]
    panels = [lines for lines in ([train, validation], [scores]) if any(lines)]
    if not panels:
        return None
    measure = next((e.measure for e in history if e.score is not None), history[0].measure)

    def draw(width: int) -> Figure:
        height = 200 * len(panels) + 20
        figure = new_figure(width, height)
        for i, lines in enumerate(panels):
            bottom = 44 + 200 * (len(panels) - 1 - i)
            axes = add_axes(figure, 34, bottom, 14, height - bottom - 148)
            fit_limits(axes, lines)
            if lines == [scores]:
                title(axes, f"Validation {measure.word}", x=-28)
                _scores(axes, scores, measure)
            else:
                title(axes, "Loss", x=-28)
                _losses(axes, train, validation)
        axes.set_xlabel("epoch", labelpad=6)
        return figure

    text = [f"{len(history)} epochs"]
    if train:
        text.append(f"training loss from {train[0][1]:.2f} to {train[-1][1]:.2f}")
    if validation:
        text.append(f"validation loss from {validation[0][1]:.2f} to {validation[-1][1]:.2f}")
    if scores:
        top = measure.text(_best(scores, measure)[1])
        how = "up" if measure.higher_is_better else "down"
        text.append(f"validation {measure.word} {how} to {top}")
    caption = f"Loss and validation {measure.word} by epoch."
    if harder and train and validation:
        caption += (
            f" The training loss is with {harder}, the validation loss without: the first may "
            "well be the higher one."
        )
    return Chart(
        "teacher_training",
        "The teacher",
        caption,
        f"Training curves of the teacher: {', '.join(text)}.",
        draw,
    )


def students_chart(trainings: Sequence[BundleTraining], styles: Styles) -> Chart | None:
    """Relative error by epoch, a panel a series, a line a bundle; None without histories."""
    trainings = [training for training in trainings if training.history]
    panels: dict[tuple[Scope, Series], list[BundleTraining]] = {}
    for training in trainings:
        panels.setdefault((training.scope, training.series), []).append(training)
    if not trainings:
        return None
    points = [point for training in trainings for point in training.history]

    def draw(width: int) -> Figure:
        columns = 2 if width >= WIDE and len(panels) > 1 else 1
        rows = -(-len(panels) // columns)
        high, between, edge = 144, 50, 44
        height = edge + rows * (high + between) - between + edge
        figure = new_figure(width, height)
        for i, ((scope, series), members) in enumerate(panels.items()):
            row, column = divmod(i, columns)
            share = width / columns
            above = edge + row * (high + between)
            left, right = column * share + 40, width - (column + 1) * share + 34
            axes = add_axes(figure, left, height - above - high, right, above)
            _error_lines(axes, members, styles.color(series), points)
            name = styles.label(series)
            if scope.suffix:
                name = " ".join([series.method.upper(), scope.word + name[len(series.method) :]])
            title(axes, name, color=styles.color(series), bold=True)
            if i == 0:
                title(axes, "Relative error on the validation split", x=-28, y=26)
            if i + columns >= len(panels):
                axes.set_xlabel("epoch", labelpad=6)
        return figure

    labels = labels_by_name(trainings)
    ends = [f"{labels[one.name]} {error(one.history[-1][1])}" for one in trainings]
    return Chart(
        "students_training",
        "The students",
        "Relative error on validation data by epoch, mean over the layers, on a logarithmic scale.",
        f"Error of the students over the epochs; at the end: {', '.join(ends)}.",
        draw,
    )


def fit_limits(axes: Axes, lines: Sequence[Sequence[Point]]) -> None:
    """Limits that hold all lines with some room above and below."""
    xs = [x for line in lines for x, _ in line]
    ys = [y for line in lines for _, y in line]
    room = 0.12 * (max(ys) - min(ys)) + 1e-3
    axes.set_xlim(min(xs) - 0.3, max(xs) + 0.3)
    axes.set_ylim(min(ys) - room, max(ys) + room)
    axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))
    axes.yaxis.set_major_locator(MaxNLocator(4))
    axes.grid(axis="x", visible=False)


def _losses(axes: Axes, train: Sequence[Point], validation: Sequence[Point]) -> None:
    lines = [("training", train, LIGHT["muted"]), ("validation", validation, LIGHT["series-0"])]
    labels = []
    for name, line, color in lines:
        if line:
            marker = "o" if len(line) == 1 else None
            axes.plot(*zip(*line, strict=True), color=color, marker=marker)
            labels.append(Label(name, tuple(line[len(line) // 2 :]), color, bold=True))
    place_labels(axes, labels, lines=[train, validation])


def _scores(axes: Axes, scores: Sequence[Point], measure: Measure) -> None:
    color = LIGHT["series-0"]
    axes.plot(*zip(*scores, strict=True), color=color)
    top = _best(scores, measure)
    axes.plot(*top, color=color, marker="o")
    text = f"best {measure.text(top[1])}, epoch {top[0]:g}"
    place_labels(axes, [Label(text, (top,), color, bold=True)], [top], [scores])


def _best(scores: Sequence[Point], measure: Measure) -> Point:
    return max(scores, key=lambda point: measure.sign * point[1])


def _error_lines(
    axes: Axes, members: Sequence[BundleTraining], color: str, points: Sequence[Point]
) -> None:
    """The lines of one series; all panels share the limits that `points` give."""
    floor = 1e-6
    low = max(min(y for _, y in points), floor)
    high = max(max(y for _, y in points), 1.01 * low)
    first, last = min(x for x, _ in points), max(x for x, _ in points)
    axes.set_yscale("log")
    axes.set_ylim(low / 1.25, high * 1.25)
    axes.set_xlim(first - 0.3, last + 0.3)
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.yaxis.set_major_locator(log_ticks(low, high))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.grid(axis="x", visible=False)
    ends = []
    for training in members:
        line = [(x, max(y, floor)) for x, y in training.history]
        axes.plot(*zip(*line, strict=True), color=color, marker="o" if len(line) == 1 else None)
        ends.append(Label(training.size.upper(), (line[-1],), color))
    label_ends(axes, ends)
