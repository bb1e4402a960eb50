"""attnreplace report."""

from attnreplace_cli import console
from attnreplace_cli.options import DEFAULT_RUN, RunOption


def report(run: RunOption = DEFAULT_RUN) -> None:
    """Write the run's report: tables, figures and translations in one HTML file.

    Example: attnreplace report --run runs/iwslt
    """
    console.progress()
    from attnreplace.report.report import write_report
    from attnreplace.rundir import RunDir

    console.done("report:", write_report(RunDir(run)))
