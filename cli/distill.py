"""attnreplace distill."""

from typing import Annotated

import typer

from attnreplace.rundir import DEFAULT_RUN, run_suffix
from attnreplace_cli import console
from attnreplace_cli.options import (
    NOTHING_SAID,
    Grid,
    OverwriteOption,
    RunOption,
    SetOption,
    configure,
    takes_grid,
)


@takes_grid
def distill(
    students: Grid = NOTHING_SAID,
    recipe: Annotated[str | None, typer.Option(help="modern or paper.")] = None,
    epochs: Annotated[int | None, typer.Option(help="Passes over the activations.")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Peak learning rate.")] = None,
    objective: Annotated[
        str | None,
        typer.Option(help="auto (the recipe's), mse, normalised_mse, cosine, l1 or huber."),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="Seed of the batches' order and of the first students.")
    ] = None,
    placement: Annotated[
        str | None,
        typer.Option(help="Several processes: student (each trains some) or data (all share)."),
    ] = None,
    part: Annotated[
        str | None,
        typer.Option(
            metavar="I/N", help="Only this share of the students; the last part joins them all."
        ),
    ] = None,
    run: RunOption = DEFAULT_RUN,
    assignments: SetOption = None,
    overwrite: OverwriteOption = False,
) -> None:
    """Train attention-free students on the captured activations, all on one reading.

    On several devices: torchrun --nproc-per-node gpu -m -- attnreplace_cli.main distill ...
    As a job array: --part 2/8.

    Example: attnreplace distill --method alr --size m --sites decoder,cross --layers 0-2
    """
    progress = console.progress()
    from attnreplace.distill.distill import distill as distill_students
    from attnreplace.distill.shares import Share
    from attnreplace.rundir import RunDir
    from attnreplace.splice.bundle import load_bundle_config

    directory = RunDir(run)
    others = {
        "recipe": recipe,
        "epochs": epochs,
        "learning_rate": learning_rate,
        "objective": objective,
        "seed": seed,
        "placement": placement,
    }
    config = configure(
        directory,
        {"distill": students.distill | others},
        assignments,
        stage="distill",
        progress=progress,
    )
    share = Share() if part is None else Share.parse(part)
    names = distill_students(
        directory, config.distill, part=share, overwrite=overwrite, progress=progress
    )
    rows = []
    for name in names:
        record = load_bundle_config(directory.students / name).training
        errors = record["relative_mse"]
        mean = sum(errors.values()) / len(errors)
        rows.append([name, f"{record['parameters']:,}", str(len(errors)), f"{mean:.4f}"])
    if not rows:
        where = directory.path / "distill.parts"
        console.done("students of this part:", where, "the other parts; the last joins them all")
        return
    console.show_table(["bundle", "parameters", "layers", "relative error"], rows)
    console.done("students:", directory.students, f"attnreplace eval{run_suffix(run)}")
