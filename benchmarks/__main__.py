"""`python -m benchmarks`: every comparison, as tables on the console and records on disk."""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import torch
import typer
from rich.console import Console
from rich.table import Table

from attnreplace.rundir import write_json
from benchmarks import (
    decoder_generation,
    decoder_training,
    extraction,
    grid,
    reader,
    sixteen,
)
from benchmarks.measure import Row, machine


@dataclass(frozen=True)
class Benchmark:
    """One of them."""

    run: Callable[[Path], list[Row]]
    minutes: float
    """On two idle cores, about."""


BENCHMARKS = {
    "decoder-training": Benchmark(decoder_training.run, 1),
    "decoder-generation": Benchmark(decoder_generation.run, 2),
    "extraction": Benchmark(extraction.run, 2),
    "reader": Benchmark(reader.run, 1),
    "sixteen": Benchmark(sixteen.run, 3.5),
    "grid": Benchmark(grid.run, 9),
}
RECORDS = Path("experiments/results/benchmarks")
LIST = ", ".join(f"{name} ({item.minutes:g} min)" for name, item in BENCHMARKS.items())
NAMES = f"{LIST}; default: all. The minutes are those of two idle cores."


def main(
    names: Annotated[list[str] | None, typer.Argument(help=NAMES)] = None,
    threads: Annotated[int, typer.Option(help="Threads of a CPU, both ways.")] = 1,
    records: Annotated[Path, typer.Option(help="Folder of the records.")] = RECORDS,
    work: Annotated[
        Path | None, typer.Option(help="Where to work, 10 GB free; kept, and used again.")
    ] = None,
) -> None:
    """Compare this project's way with the plain way, both in one run.

    The last table says of every comparison whether it is as wanted.

    Example: python -m benchmarks decoder-training extraction
    """
    unknown = [name for name in names or [] if name not in BENCHMARKS]
    if unknown:
        raise typer.BadParameter(f"no benchmark {unknown[0]!r}; valid: {', '.join(BENCHMARKS)}")
    torch.set_num_threads(threads)
    console = Console()
    summary: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="benchmarks-") as temporary:
        for name in names or BENCHMARKS:
            with console.status(f"{name}, about {BENCHMARKS[name].minutes:g} min"):
                rows = BENCHMARKS[name].run(work or Path(temporary))
            summary += rows
            console.print(_table(rows))
            path = records / f"{name}.json"
            write_json(
                path,
                {
                    "schema": "attnreplace.benchmark/1",
                    "machine": machine(),
                    "created": datetime.now(UTC).isoformat(timespec="seconds"),
                    "rows": [row.to_json() for row in rows],
                },
            )
            console.print(f"record: {path}")
    console.print(_summary(summary))


def _table(rows: list[Row]) -> Table:
    table = Table(title=rows[0].benchmark)
    for column in ("case", rows[0].baseline, rows[0].ours, "ratio", "spread", "wanted"):
        table.add_column(column, justify="left" if column == "case" else "right")
    for row in rows:
        table.add_row(
            row.case,
            _figure(min(row.baseline_values), row.unit),
            _figure(min(row.our_values), row.unit),
            f"{row.ratio:.2f}",
            f"{row.ratios[0]:.2f} to {row.ratios[-1]:.2f}",
            row.wanted,
        )
    return table


def _summary(rows: list[Row]) -> Table:
    table = Table(title="summary")
    for column in ("benchmark", "case", "ratio", "spread", "wanted", "reached"):
        table.add_column(column, justify="left" if column in ("benchmark", "case") else "right")
    for row in rows:
        table.add_row(
            row.benchmark,
            row.case,
            f"{row.ratio:.2f}",
            f"{row.ratios[0]:.2f} to {row.ratios[-1]:.2f}",
            row.wanted,
            {None: "", True: "yes", False: "[red]no[/red]"}[row.reached],
        )
    return table


def _figure(value: float, unit: str) -> str:
    if unit == "B":
        return f"{value / 1e6:,.1f} MB"
    return f"{value * 1000:,.1f} ms" if value < 10 else f"{value:,.0f} s"


if __name__ == "__main__":
    typer.run(main)
