"""attnreplace report."""

from pathlib import Path
from typing import Annotated

import typer

from attnreplace_cli import console
from attnreplace_cli.options import DEFAULT_RUN, RunOption


def report(
    publish: Annotated[
        Path | None,
        typer.Option(help="Also copy records, figures and a Markdown table to this folder."),
    ] = None,
    beside: Annotated[
        list[Path] | None,
        typer.Option(help="Show this run's teacher, too, as trained from scratch; repeatable."),
    ] = None,
    run: RunOption = DEFAULT_RUN,
) -> None:
    """Write the run's report: tables, figures and samples in one HTML file.

    Example: attnreplace report --run runs/vit --beside runs/gmlp --beside runs/ff-only
    """
    console.progress()
    from attnreplace.report.publish import publish as publish_records
    from attnreplace.report.report import write_report
    from attnreplace.rundir import RunDir

    others = [RunDir(path) for path in beside or []]
    page = write_report(RunDir(run), others)
    if publish is not None:
        console.done("records and table:", publish_records(RunDir(run), publish, others))
    console.done("report:", page)
