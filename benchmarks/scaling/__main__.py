"""`python -m benchmarks.scaling`: costs, then quality, then the page that shows both."""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "passive")

from pathlib import Path
from typing import Annotated

import torch
import typer
from rich.console import Console

from attnreplace.errors import UserError
from attnreplace.rundir import write_text
from attnreplace_cli.main import tune_memory
from benchmarks.scaling import cost, quality
from benchmarks.scaling.figure import chart
from benchmarks.scaling.page import all_tables, fill
from benchmarks.scaling.results import FILES, Results
from benchmarks.scaling.shapes import all_shapes

PARTS = ("cost", "quality", "page")
RECORDS = Path("experiments/results/scaling")
PAGE = Path("docs/scaling.md")


def main(
    parts: Annotated[
        list[str] | None, typer.Argument(help=f"{', '.join(PARTS)}; default: all.")
    ] = None,
    records: Annotated[Path, typer.Option(help="Folder of the records.")] = RECORDS,
    work: Annotated[Path, typer.Option(help="Where teachers and students go.")] = Path(
        "runs/scaling"
    ),
    page: Annotated[Path, typer.Option(help="Page whose tables are filled.")] = PAGE,
    minutes: Annotated[
        float | None,
        typer.Option(
            help="CPU time of each part, after which nothing more is begun; default: "
            f"{cost.MINUTES:g} for cost, {quality.MINUTES:g} for quality."
        ),
    ] = None,
) -> None:
    """Measure how students scale, and write the page. On one thread; what is recorded is kept.

    Example: python -m benchmarks.scaling cost page
    """
    unknown = [part for part in parts or [] if part not in PARTS]
    if unknown:
        raise typer.BadParameter(f"no part {unknown[0]!r}; valid: {', '.join(PARTS)}")
    torch.set_num_threads(1)
    console = Console()
    try:
        for part in parts or PARTS:
            _do(part, records, work, page, minutes, console)
    except UserError as error:
        console.print(f"[red]error:[/red] {error}")
        raise typer.Exit(2) from error


def _do(
    part: str, records: Path, work: Path, page: Path, minutes: float | None, console: Console
) -> None:
    note = console.print
    if part == "cost":
        shapes = all_shapes()
        counts = cost.count_all(records / FILES["counts"], shapes, note)
        limit = minutes or cost.MINUTES
        cost.time_all(records / FILES["seconds"], shapes, counts, note, minutes=limit)
    elif part == "quality":
        trained = quality.Quality(records / FILES["quality"], work, quality.Budget(), note)
        trained.run(quality.CELLS, minutes or quality.MINUTES)
    else:
        results = Results(records)
        write_text(page, fill(page.read_text(encoding="utf-8"), results))
        write_text(records / "costs.md", all_tables(results))
        chart(results).save_png(records / "scaling.png")
        note(f"{page}, {records / 'costs.md'} and {records / 'scaling.png'} are written")


if __name__ == "__main__":
    tune_memory()
    typer.run(main)
