"""attnreplace report."""

from pathlib import Path
from typing import Annotated

import typer

from attnreplace.rundir import DEFAULT_RUN
from attnreplace_cli import console
from attnreplace_cli.options import RunOption


def report(
    publish: Annotated[
        Path | None,
        typer.Option(help="Also copy records, figures and a Markdown table to this folder."),
    ] = None,
    beside: Annotated[
        list[Path] | None,
        typer.Option(help="Show this run's teacher, too, as trained from scratch; repeatable."),
    ] = None,
    pictures: Annotated[
        bool,
        typer.Option(
            "--pictures",
            help="Make pictures of attention and of what took its place; later reports keep them.",
        ),
    ] = False,
    run: RunOption = DEFAULT_RUN,
) -> None:
    """Write the run's report: tables, figures and samples in one HTML file.

    Example: attnreplace report --run runs/vit --beside runs/gmlp --beside runs/ff-only
    """
    progress = console.progress()
    from attnreplace.report.pictures.make import make_pictures
    from attnreplace.report.publish import publish as publish_records
    from attnreplace.report.report import write_report
    from attnreplace.rundir import RunDir

    if pictures:
        make_pictures(RunDir(run), progress)
    others = [RunDir(path) for path in beside or []]
    page = write_report(RunDir(run), others)
    if publish is not None:
        console.done("records and table:", publish_records(RunDir(run), publish, others))
    console.done("report:", page, f"open {page} in a browser")
