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
    run: RunOption = DEFAULT_RUN,
) -> None:
    """Write the run's report: tables, figures and translations in one HTML file.

    Example: attnreplace report --run runs/iwslt
    """
    console.progress()
    from attnreplace.report.publish import publish as publish_records
    from attnreplace.report.report import write_report
    from attnreplace.rundir import RunDir

    page = write_report(RunDir(run))
    if publish is not None:
        console.done("records and table:", publish_records(RunDir(run), publish))
    console.done("report:", page)
