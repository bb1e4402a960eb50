"""The headline's figure: what is left of BLEU by what is replaced, and by which kind of student."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from attnreplace.report.canvas import SMALL, Chart, add_axes, new_figure
from attnreplace.report.labels import text_size
from attnreplace.report.numbers import difference
from attnreplace.report.overview.choice import REMOVED, STAGES, Choice, Headline
from attnreplace.report.palette import LIGHT
from attnreplace.report.scopes import Scope
from attnreplace.students import KINDS

NAME = "results"
"""Stem of the figure's file."""

WIDTH, LEFT, TOP, BOTTOM = 760, 150, 40, 44
ROW, HEADING = 22, 28
"""Pixels."""

GAP = 9.0
"""Points between a mark and its label."""

MARKS: dict[str, dict[str, Any]] = {
    "": {"marker": "|", "markersize": 11, "markeredgewidth": 2},
    STAGES[0]: {"marker": "o", "markersize": 8.5, "markerfacecolor": LIGHT["paper"]},
    STAGES[1]: {"marker": "o", "markersize": 8.5},
    STAGES[2]: {"marker": "D", "markersize": 6.5, "markerfacecolor": LIGHT["paper"]},
}
"""How a stage looks: hollow, filled, a diamond; attention removed is a tick."""


def headline_chart(headline: Headline) -> Chart | None:
    """The figure; None where nothing can be held against a teacher."""
    choices = headline.choices
    if not choices:
        return None
    trials = headline.trials
    sets = dict.fromkeys(f"{trial.test_set}, beam {trial.beam}" for trial in trials)
    means = f"Small dots are {len(trials)} experiments, marks their means. " * (len(trials) > 1)
    return Chart(
        NAME,
        "BLEU less the teacher's, by what is replaced and by which kind of student",
        f"{headline.corpus} ({'; '.join(sets)}): BLEU less the teacher's. {means}Of each "
        "kind and stage of training the system with the best mean; all layers are replaced.",
        _describe(choices),
        lambda width: _draw(width, choices),
        wide=WIDTH,
    )


def _draw(width: int, choices: Sequence[Choice]) -> Figure:
    """Rows of marks: a block a scope, in it a row a kind, in it a mark a stage."""
    rows = _rows(choices)
    scopes = list(dict.fromkeys(scope for scope, _ in rows))
    tall = ROW * len(rows) + HEADING * len(scopes)
    figure = new_figure(width, TOP + tall + BOTTOM)
    axes = add_axes(figure, LEFT, BOTTOM, 14, TOP)
    axes.set_ylim(tall, 0)
    values = [0.0, *(value for choice in choices for value in choice.differences)]
    room = 0.09 * max(max(values) - min(values), 1.0)
    axes.set_xlim(min(values) - room, max(values) + room)
    axes.set_yticks([])
    axes.grid(axis="y", visible=False)
    axes.spines["left"].set_visible(False)
    axes.axvline(0, color=LIGHT["muted"], linewidth=1)
    axes.set_xlabel("BLEU less the teacher's", labelpad=8)
    y, scope = 0.0, None
    for (here, nature), found in rows.items():
        if here != scope:
            _name(axes, here.title, y + 0.6 * HEADING, LIGHT["ink"], bold=True)
            y, scope = y + HEADING, here
        _row(axes, y + ROW / 2, nature, found)
        y += ROW
    _legend(axes, [stage for stage in MARKS if any(c.stage == stage for c in choices)])
    return figure


def _rows(choices: Iterable[Choice]) -> dict[tuple[Scope, str], list[Choice]]:
    """The marks of each row; `choices` are in order."""
    return {
        key: list(group)
        for key, group in groupby(choices, lambda choice: (choice.system.scope, choice.nature))
    }


def _row(axes: Axes, y: float, nature: str, choices: Sequence[Choice]) -> None:
    color = _color(nature)
    _name(axes, nature, y, color)
    ordered = sorted(choices, key=lambda choice: choice.mean)
    means = [choice.mean for choice in ordered]
    axes.plot([means[0], means[-1]], [y, y], color=color, linewidth=1)
    for place, choice in enumerate(ordered):
        if len(choice.differences) > 1:
            dots = [y] * len(choice.differences)
            axes.plot(choice.differences, dots, ".", color=color, markersize=3.5, alpha=0.6)
        axes.plot(choice.mean, y, color=color, **MARKS[choice.stage], linestyle="none", zorder=4)
        # The first on the left of its mark, the last on the right, what is between them above.
        side = -1 if place == 0 and len(ordered) > 1 else int(place == len(ordered) - 1)
        text = difference(choice.mean)
        axes.annotate(
            text,
            (choice.mean, y),
            (side * _away(axes, text, choice, side), 0) if side else (0, GAP),
            textcoords="offset points",
            color=color,
            fontsize=SMALL,
            ha={-1: "right", 0: "center", 1: "left"}[side],
            va="center_baseline",
            bbox={"facecolor": LIGHT["paper"], "edgecolor": "none", "pad": 0.5},
        )


def _away(axes: Axes, text: str, choice: Choice, side: int) -> float:
    """Points between a mark and a label on one side of it that covers none of its dots."""
    points = 72 / axes.figure.dpi
    width = points * text_size(axes, text, False)[0]
    ends = axes.transData.transform([(value, 0) for value in (choice.mean, *choice.differences)])
    away = GAP
    for dot in sorted(points * side * (ends[1:, 0] - ends[0, 0])):
        if away - GAP / 2 < dot < away + width + GAP / 2:
            away = dot + GAP / 2
    return away


def _name(axes: Axes, text: str, y: float, color: str, bold: bool = False) -> None:
    """Text on the left of the axes."""
    axes.annotate(
        text,
        (0, y),
        (-LEFT + (4 if bold else 14), 0),
        xycoords=("axes fraction", "data"),
        textcoords="offset points",
        color=color,
        fontweight="bold" if bold else "normal",
        va="center_baseline",
        annotation_clip=False,
    )


def _legend(axes: Axes, stages: Sequence[str]) -> None:
    """Above the axes: what marks mean."""
    names = {"": "attention removed"}
    lines = [
        axes.plot([], [], color=LIGHT["muted"], **MARKS[stage], linestyle="none")[0]
        for stage in stages
    ]
    axes.legend(
        lines,
        [names.get(stage, stage) for stage in stages],
        loc="lower left",
        bbox_to_anchor=(0, 1),
        ncols=len(stages),
        frameon=False,
        fontsize=SMALL,
        labelcolor=LIGHT["muted"],
        handletextpad=0.2,
    )


def _color(nature: str) -> str:
    """A colour a kind; a row's name says it as well."""
    kinds: Mapping[str, int] = {kind: slot for slot, kind in enumerate(KINDS)}
    slot = kinds.get(nature.partition(",")[0])
    return LIGHT["muted"] if nature == REMOVED or slot is None else LIGHT[f"series-{slot}"]


def _describe(choices: Sequence[Choice]) -> str:
    """The marks in words."""
    lines = []
    for scope, group in groupby(choices, lambda choice: choice.system.scope):
        marks = [
            " ".join(filter(None, [c.nature, difference(c.mean), c.stage and f"({c.stage})"]))
            for c in group
        ]
        lines.append(f"{scope.title}: {', '.join(marks)}.")
    return f"Chart of BLEU less the teacher's. {' '.join(lines)}"
