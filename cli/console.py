"""What a person sees: progress bars, notes, errors."""

import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from textwrap import wrap
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.columns import Columns
from rich.console import Console, RenderableType
from rich.markup import escape
from rich.padding import Padding
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Column, Table

from attnreplace.progress import NullProgress
from attnreplace_cli.options import naming_run, run_asked_for

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)

IN_THE_REPORT = ("Replaced", "Encode 64, ms", "Translate 64, ms")
"""Columns that a terminal has no room for."""
IN_LONG_LABELS = ("Family", "Attention")
"""Columns that repeat what labels say."""
BESIDE_LONG_LABELS = ("Attention", "Whole", "State, kB")
"""And those that it has none for where labels say what is replaced."""
IN_FULL = {
    "Replacement": "Student params",
    "Whole": "Model params",
    "Encode 1, ms": "Encode batch of 1, ms",
    "Translate 1, ms": "Translate batch of 1, ms",
}
"""Headings that the report explains below its table."""
UNBROKEN = 1000
"""Columns that no table is as wide as."""

QUIET_STEPS, QUIET_SECONDS = 10, 10.0
"""Where there is no terminal, a task says how far it is so many times, and no sooner after the last
than so many seconds."""
LINES_SECONDS = 600.0
"""The time left, in lines, is reckoned from the steps of so long; bars take the half minute of
rich, in which a slow task may not have done two."""


class _Bars(Progress):
    """Where the terminal is narrow, descriptions wrap; figures have lines of their own."""

    def __init__(self) -> None:
        super().__init__(
            SpinnerColumn(table_column=Column(no_wrap=True)),
            TextColumn("{task.description}", table_column=Column(no_wrap=False)),
            BarColumn(bar_width=16, table_column=Column(no_wrap=True)),
            MofNCompleteColumn(table_column=Column(no_wrap=True)),
            TimeElapsedColumn(table_column=Column(no_wrap=True)),
            TextColumn("left", table_column=Column(no_wrap=True)),
            TimeRemainingColumn(table_column=Column(no_wrap=True)),
            console=err,
            transient=True,
        )

    def get_renderables(self) -> Iterable[RenderableType]:
        """The bars, and under them their figures."""
        yield self.make_tasks_table(self.tasks)
        for task in self.tasks:
            if task.fields["figures"]:
                shown = map(escape, task.fields["figures"])
                yield Padding(Columns(shown, padding=(0, 2)), (0, 0, 0, 2))


class _Bar:
    def __init__(self, bars: Progress, task: TaskID) -> None:
        self.bars, self.id = bars, task

    def advance(self, steps: int = 1, **figures: float | str) -> None:
        """Move the bar."""
        shown = _figures(figures)
        if shown:
            self.bars.update(self.id, advance=steps, figures=shown)
        else:
            self.bars.update(self.id, advance=steps)


class TerminalProgress:
    """Progress bars with the time left; they vanish when done, notes stay."""

    def __init__(self) -> None:
        self._bars: Progress | None = None

    @contextmanager
    def task(self, description: str, total: int | None, done: int = 0) -> Iterator[_Bar]:
        """One bar; tasks inside a task get bars below it."""
        outermost = self._bars is None
        if self._bars is None:
            self._bars = _Bars()
            self._bars.start()
        task = self._bars.add_task(escape(description), total=total, completed=done, figures=[])
        try:
            yield _Bar(self._bars, task)
        finally:
            self._bars.remove_task(task)
            if outermost:
                self._bars.stop()
                self._bars = None

    def note(self, message: str) -> None:
        """A line above the bars."""
        err.print(escape(naming_run(message, run_asked_for(sys.argv))))


class _Lines:
    def __init__(self, description: str, total: int | None, done: int) -> None:
        self.description, self.total, self.done = description, total, done
        self.figures = ""
        # Never started, so that it shows nothing: it reckons the time left.
        self.bars = Progress(console=err, speed_estimate_period=LINES_SECONDS)
        self.id = self.bars.add_task(description, total=total, completed=done)
        self.said = err.get_time()

    def advance(self, steps: int = 1, **figures: float | str) -> None:
        """Say a line at every tenth of the way that is some time after the last."""
        before, self.done = self.done, self.done + steps
        self.bars.advance(self.id, steps)
        self.figures = "  ".join(_figures(figures)) or self.figures
        if not self.total or self.total < QUIET_STEPS:
            return
        tenth = before * QUIET_STEPS // self.total < self.done * QUIET_STEPS // self.total
        if tenth and err.get_time() - self.said >= QUIET_SECONDS:
            self.said = err.get_time()
            parts = (f"{self.description}: {self.done}/{self.total}", self._left(), self.figures)
            err.print(escape("  ".join(filter(None, parts))), soft_wrap=True)

    def _left(self) -> str:
        """As bars say it; nothing where it is not known, or done."""
        task = self.bars.tasks[0]
        return f"left {TimeRemainingColumn().render(task)}" if task.time_remaining else ""


class LineProgress:
    """For logs: a line now and then instead of a bar."""

    @contextmanager
    def task(self, description: str, total: int | None, done: int = 0) -> Iterator[_Lines]:
        """Lines at tenths of the way; none for what is short."""
        yield _Lines(description, total, done)

    def note(self, message: str) -> None:
        """A line."""
        err.print(escape(naming_run(message, run_asked_for(sys.argv))), soft_wrap=True)


def progress() -> TerminalProgress | LineProgress | NullProgress:
    """Bars on a terminal, lines elsewhere; nothing but ours is shown."""
    # Set before transformers and datasets are imported, which read them then.
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    if int(os.environ.get("RANK", "0")) > 0:
        out.quiet = True  # of several processes the first one speaks, but each says its errors
        return NullProgress()
    return TerminalProgress() if err.is_terminal else LineProgress()


def show_table(
    header: list[str], rows: list[list[str]], title: str = "", numbers: bool = True
) -> None:
    """A table; with `numbers`, all columns but the first are aligned on the right.

    Headings of figures break into as few lines as the terminal has room for.
    """
    for lines in range(1, 1 + max(len(name.split()) for name in header)):
        table = Table(
            title=escape(title) or None,
            title_justify="left",
            box=SIMPLE_HEAD,
            show_edge=False,
            pad_edge=False,
            collapse_padding=True,
        )
        for index, name in enumerate(header):
            if numbers and index:
                shown = escape(_broken(name, lines))
                table.add_column(shown, justify="right", no_wrap=True)
            else:
                table.add_column(escape(name), min_width=10)
        for row in rows:
            table.add_row(*(escape(cell) for cell in row))
        if out.measure(table, options=out.options.update(width=UNBROKEN)).maximum <= out.width:
            break
    out.print(table)
    out.print()


def _broken(heading: str, lines: int) -> str:
    """A heading in at most so many lines, as narrow as they can be."""
    if not heading:
        return ""
    wrapped = (
        wrap(heading, width, break_long_words=False, break_on_hyphens=False)
        for width in range(1, 1 + len(heading))
    )
    return "\n".join(next(found for found in wrapped if len(found) <= lines))


def show_results(records: Sequence[Mapping[str, Any]]) -> None:
    """Evaluation records: a table of quality a test set, and one of cost."""
    from attnreplace.report.tables import results_table

    if not records:
        return
    test_sets = sorted({record["test_set"] for record in records})
    for name in test_sets:
        those = [record for record in records if record["test_set"] == name]
        header, rows = results_table(those, cost=False)
        title = f"On {name}" if len(test_sets) > 1 else ""
        show_table(*_without(IN_LONG_LABELS, header, rows), title)
    # A system costs the same whatever it reads: its first test set stands for all.
    those = [record for record in records if record["test_set"] == test_sets[0]]
    header, rows = results_table(those, quality=False)
    hidden = IN_THE_REPORT + (BESIDE_LONG_LABELS if "Attention" in header else ())
    if any(record["cost"] or record["relative_mse"] for record in records):
        header, rows = _without(hidden, header, rows)
        show_table([IN_FULL.get(name, name) for name in header], rows)


def _without(
    hidden: Sequence[str], header: Sequence[str], rows: Sequence[Sequence[str]]
) -> tuple[list[str], list[list[str]]]:
    """A table without some columns."""
    kept = [index for index, name in enumerate(header) if name not in hidden]
    return [header[i] for i in kept], [[row[i] for i in kept] for row in rows]


def show_diagnoses(records: Sequence[Mapping[str, Any]]) -> None:
    """Where the loss of systems is from: a table a test set, and a line on the farthest system."""
    from attnreplace.report.diagnosis import diagnosis_sentence, in_order, parse_diagnosis
    from attnreplace.report.diagnosis_tables import brief_table, by_test_set

    found = in_order(parse_diagnosis(record, "a new record") for record in records)
    for test_set, group in by_test_set(found).items():
        table = brief_table(group)
        show_table(table.header, table.rows, f"On {test_set}")
    if found:
        farthest = max(found, key=lambda one: one.overall.divergence)
        out.print(escape(diagnosis_sentence(farthest)), soft_wrap=True)


def show_text(rows: list[list[str]], title: str) -> None:
    """Names and what belongs to them, wrapped."""
    table = Table(title=escape(title), title_justify="left", show_header=False, box=None)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for row in rows:
        table.add_row(*(escape(cell) for cell in row))
    out.print(table)
    out.print()


def done(what: str, where: object, *then: str) -> None:
    """How every command ends: what there is now, where, and what could be run next."""
    out.print(f"[bold]{escape(what)}[/bold] {escape(str(where))}", soft_wrap=True)
    for index, command in enumerate(then):
        out.print(f"{'or' if index else 'next'}: {escape(command)}", soft_wrap=True)


def error(message: str) -> None:
    """What went wrong, in one line."""
    shown = escape(naming_run(message, run_asked_for(sys.argv)))
    err.print(f"[bold red]error:[/bold red] {shown}", soft_wrap=True)


def _figures(figures: Mapping[str, float | str]) -> list[str]:
    return [f"{name} {_figure(value)}" for name, value in figures.items()]


def _figure(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:.4g}"
