"""Figure of tuning: the validation score of tuned models by epoch."""

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from attnreplace.report.canvas import Chart, add_axes, new_figure, title
from attnreplace.report.curves import fit_limits
from attnreplace.report.labels import Label, Point, label_ends, place_labels
from attnreplace.report.palette import LIGHT, MARKERS
from attnreplace.report.result import position
from attnreplace.report.training import Epoch, labels_by_name
from attnreplace.report.tunings import Tuning
from attnreplace.tune.config import STARTS

LETTER = 6.2
"""Width of a letter in pixels, about."""
ABOVE, PANEL, BELOW, LINE, GAP = 26, 170, 56, 15, 10
"""Heights in pixels: of a heading, of the axes, of what is under them, of a line of text."""
LEFT, EDGE, INDENT = 34, 6, 20
"""Pixels: of the axes, of text, and of text behind a number."""
DASHES = ("-", (0, (5, 1.5)), (0, (1.5, 1.2)))
"""For as many rounds of colours."""


@dataclass(frozen=True)
class _Line:
    """A tuned model in its panel."""

    tuning: Tuning
    best: Point
    name: str
    """Its label and best score."""

    number: str
    """Empty where it is alone."""

    place: int
    """In its panel."""

    @property
    def color(self) -> str:
        return LIGHT[f"series-{self.place % len(MARKERS)}"]

    def wrapped(self, width: int) -> list[str]:
        """Its name in lines of text for a figure of that width."""
        return textwrap.wrap(self.name, int((width - EDGE - self.indent) / LETTER))

    @property
    def indent(self) -> int:
        return INDENT if self.number else 0


def tuning_chart(tunings: Sequence[Tuning], teacher: Epoch | None) -> Chart | None:
    """A line a tuned model, a panel for those that replace the same; None without any scores.

    What was not distilled has panels of its own: it has longer to go, and from far below.

    Args:
        tunings: the tuned models of a run.
        teacher: the epoch whose weights it has; None where that is not known.
    """
    panels = _panels(tunings)
    lines = [line for members in panels.values() for line in members]
    if not lines:
        return None
    measure = lines[0].tuning.measure
    level = teacher.score if teacher and teacher.measure == measure else None
    reference = "" if level is None else f"the teacher {measure.text(level)}"
    what = f"Validation {measure.word}{'' if measure.higher_is_better else ' (lower is better)'}"
    caption = f"{what} by epoch; the dots are the epochs whose weights were kept."
    if reference:
        caption += " Dashed: the teacher, at the epoch whose weights it has."
    if len(lines) > len(panels):
        caption += " Numbers go from the best to the worst of a panel."
    said = [line.name for line in lines] + ([reference] if reference else [])
    return Chart(
        "tuning",
        "Tuned models",
        caption,
        f"{what} by epoch, the best of each tuned model: {'; '.join(said)}.",
        lambda width: _draw(width, panels, level),
    )


def _panels(tunings: Sequence[Tuning]) -> dict[str, list[_Line]]:
    """Lines by the headings of their panels, the best first, numbered throughout."""
    found = [(one, one.best) for one in tunings if one.best is not None]
    labels = labels_by_name([one for one, _ in found])
    found.sort(
        key=lambda pair: (
            pair[0].scope.order,
            position(pair[0].start, STARTS),
            -pair[0].measure.sign * pair[1][1],
        )
    )
    panels: dict[str, list[_Line]] = {}
    for number, (one, best) in enumerate(found, start=1):
        start = "" if one.start == STARTS[0] else f", from {one.start}"
        lines = panels.setdefault(one.scope.title + start, [])
        epoch = f"epoch\N{NO-BREAK SPACE}{best[0]:g}"
        name = f"{labels[one.name]}: {one.measure.text(best[1])}, {epoch}"
        lines.append(_Line(one, best, name, str(number) if len(found) > 1 else "", len(lines)))
    return panels


def _draw(width: int, panels: Mapping[str, Sequence[_Line]], level: float | None) -> Figure:
    """Panels under one another, the names of its lines under each."""
    sizes = [
        (max(PANEL, LINE * len(lines)), LINE * sum(len(line.wrapped(width)) for line in lines))
        for lines in panels.values()
    ]
    height = sum(ABOVE + high + BELOW + text + GAP for high, text in sizes)
    figure, above = new_figure(width, height), 0
    for (heading, lines), (high, text) in zip(panels.items(), sizes, strict=True):
        above += ABOVE
        right = 30 if lines[0].number else 14
        axes = add_axes(figure, LEFT, height - above - high, right, above)
        what = f"validation {lines[0].tuning.measure.word}"
        what = f"{heading}: {what}" if len(panels) > 1 else what[:1].upper() + what[1:]
        title(axes, what, x=EDGE - LEFT)
        axes.set_xlabel("epoch", labelpad=6)
        _lines(axes, lines, level)
        _names(axes, lines, width, -high - BELOW)
        above += high + BELOW + text + GAP
    return figure


def _lines(axes: Axes, lines: Sequence[_Line], level: float | None) -> None:
    drawn = [line.tuning.scores for line in lines]
    epochs = [epoch for scores in drawn for epoch, _ in scores]
    reference = [] if level is None else [[(min(epochs), level), (max(epochs), level)]]
    fit_limits(axes, [*drawn, *reference])
    for line, scores in zip(lines, drawn, strict=True):
        dashes = DASHES[line.place // len(MARKERS) % len(DASHES)]
        axes.plot(*zip(*scores, strict=True), color=line.color, linestyle=dashes)
        axes.plot(*line.best, color=line.color, marker="o", markersize=5)
    if level is not None:
        measure = lines[0].tuning.measure
        # Not as far as the numbers.
        low, high = axes.get_xlim()[0], max(epochs)
        axes.plot([low, high], [level] * 2, color=LIGHT["muted"], lw=1, linestyle=(0, (4, 3)))
        anchors = tuple((low + share * (high - low), level) for share in (0.12, 0.3, 0.5, 0.7))
        text = f"Teacher {measure.text(level)}"
        label = Label(text, anchors, LIGHT["muted"], gap=2, angles=(90, 270))
        place_labels(axes, [label], [line.best for line in lines], [*drawn, *reference])
    ends = [
        Label(line.number, (scores[-1],), line.color, bold=True)
        for line, scores in zip(lines, drawn, strict=True)
    ]
    label_ends(axes, ends if lines[0].number else [])


def _names(axes: Axes, lines: Sequence[_Line], width: int, y: float) -> None:
    """What the numbers stand for, each in the colour of its line, downwards from `y`."""
    for line in lines:
        title(axes, line.number, EDGE - LEFT, y, line.color, bold=True)
        for text in line.wrapped(width):
            title(axes, text, EDGE - LEFT + line.indent, y, line.color)
            y -= LINE
