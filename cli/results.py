"""attnreplace results."""

from pathlib import Path
from typing import Annotated

import typer

from attnreplace_cli import console


def results(
    folder: Annotated[
        Path, typer.Argument(help="Folder with the experiments of `report --publish`.")
    ] = Path("experiments/results"),
    page: Annotated[Path, typer.Option(help="The page; its figure is put beside it.")] = Path(
        "docs/results.md"
    ),
    readme: Annotated[
        Path | None,
        typer.Option(help="Also write this file's part between its two lines on results."),
    ] = None,
) -> None:
    """Write one page with the tables of all published experiments, from their records.

    Example: attnreplace results experiments/results --readme README.md
    """
    from attnreplace.report.overview.write import write_results

    write_results(folder, page, readme)
    console.done("page:", page)
