"""The part of a README that the results fill in."""

from collections.abc import Sequence
from pathlib import Path

from attnreplace.errors import UserError
from attnreplace.report.canvas import Chart
from attnreplace.report.overview.choice import SCRATCH, Headline, kind_order, stage_of
from attnreplace.report.overview.experiments import Experiment
from attnreplace.report.overview.section import link
from attnreplace.report.overview.trials import (
    KIND,
    SCOPE,
    SYSTEM,
    TEACHER,
    System,
    Trial,
    joint_table,
)
from attnreplace.report.result import Result
from attnreplace.report.selection import first_test_set
from attnreplace.report.tables import NOTHING, as_markdown

BEGIN = "<!-- results: written by `attnreplace results`, as all of it to the next such line -->"
END = "<!-- end of results -->"


def fill_in(readme: Path, section: str) -> str:
    """A README's text with the section between `BEGIN` and `END`.

    Raises:
        UserError: there is no such file, or these lines are not in it, once each and in this order.
    """
    if not readme.is_file():
        raise UserError(
            f"no file {readme}; name the one that holds the lines {BEGIN!r} and {END!r}"
        )
    text = readme.read_text(encoding="utf-8")
    before, begin, rest = text.partition(f"{BEGIN}\n")
    _, end, after = rest.partition(END)
    if not end or BEGIN in rest or END in after:
        raise UserError(f"{readme} needs the lines {BEGIN!r} and {END!r}, once each, in this order")
    return f"{before}{begin}\n{section}\n\n{end}{after}"


def readme_section(
    experiments: Sequence[Experiment],
    headline: Headline | None,
    figure: Chart | None,
    page: Path,
    readme: Path,
) -> str:
    """The headline's table and figure, a line an experiment without translation, links.

    Args:
        experiments: all of them.
        headline: what the table shows.
        figure: of the headline; its file lies beside the page.
        page: with all tables.
        readme: where the section will stand: its links start there.
    """
    there, parts = link(page, readme), []
    if headline is not None and figure is not None:
        shown = {TEACHER, *(choice.system for choice in headline.foremost)}
        table = joint_table(
            headline.trials,
            [SCOPE, SYSTEM, KIND],
            lambda result: System.of(result) in shown,
            kind_order,
            differs=True,
            page=there,
        )
        image = link(page.with_name(f"{figure.name}.png"), readme)
        what = (
            f"{headline.corpus}: BLEU with attention replaced, in brackets the difference to the "
            "teacher. Of each kind of student the best."
        )
        parts += [what, table, f"![{figure.title}]({image})", figure.caption]
    others = [one for one in experiments if not one.translates]
    if others:
        parts += [
            "Images, masked tokens and texts, the best of each:",
            _encoder_table(others, there),
        ]
    last = f"All tables, and what the kinds are: [{there}]({there})."
    if log := experiments[0].log:
        last += f" What was tried, failures included: [the log]({link(log, readme)})."
    return "\n\n".join(part.rstrip("\n") for part in [*parts, last])


def _encoder_table(experiments: Sequence[Experiment], page: str) -> str:
    """A row an experiment: the best system of each kind on its first test set."""
    columns = {"Teacher": "teacher", "Students": "student", "Not distilled": "scratch"}
    columns["Removed"] = "removed"
    rows = []
    for one in experiments:
        trial = Trial(one, first_test_set(one.results))
        cells = [_best(trial, kind) for kind in columns.values()]
        rows.append([f"[{one.title}]({page}#{one.name})", trial.measure.label, *cells])
    return as_markdown(["Experiment", "Best by", *columns], rows, texts=2)


def _best(trial: Trial, kind: str) -> str:
    """The best system of a kind: `94.07 % (ELR-M)`."""
    every = [(system, found) for system in trial.systems if (found := trial.find(system))]
    scored = [(system, found) for system, found in every if _kind(found.results[0]) == kind]
    if not scored:
        return NOTHING
    system, found = max(scored, key=lambda pair: trial.measure.sign * pair[1].score)
    name = system.label.rpartition(", ")[0] if system.kind == "scratch" else system.label
    return found.text if kind in ("teacher", "removed") else f"{found.text} ({name})"


def _kind(result: Result) -> str:
    """A system's kind; students whose model was trained from scratch learnt from no teacher."""
    return "scratch" if stage_of(result) == SCRATCH else result.kind
