"""attnreplace distill."""

from typing import Annotated

import typer

from attnreplace_cli import console
from attnreplace_cli.options import (
    DEFAULT_RUN,
    MethodOption,
    OverwriteOption,
    RunOption,
    SetOption,
    SizeOption,
    configure,
    methods,
    run_suffix,
    sizes,
)


def distill(
    method: MethodOption = None,
    size: SizeOption = None,
    recipe: Annotated[str | None, typer.Option(help="modern or paper.")] = None,
    epochs: Annotated[int | None, typer.Option(help="Passes over the activations.")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Peak learning rate.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the students.")] = None,
    run: RunOption = DEFAULT_RUN,
    assignments: SetOption = None,
    overwrite: OverwriteOption = False,
) -> None:
    """Train attention-free students on the captured activations, all on one reading.

    Example: attnreplace distill --method alrr --size m
    """
    progress = console.progress()
    from attnreplace.distill.distill import distill as distill_students
    from attnreplace.rundir import RunDir
    from attnreplace.splice.bundle import load_bundle_config

    directory = RunDir(run)
    options = {
        "methods": methods(method),
        "sizes": sizes(size),
        "recipe": recipe,
        "epochs": epochs,
        "learning_rate": learning_rate,
        "seed": seed,
    }
    config = configure(directory, {"distill": options}, assignments)
    names = distill_students(directory, config.distill, overwrite=overwrite, progress=progress)
    rows = []
    for name in names:
        training = load_bundle_config(directory.students / name).training
        errors = training["relative_mse"]
        mean = sum(errors.values()) / len(errors)
        rows.append([name, f"{training['parameters']:,}", str(len(errors)), f"{mean:.4f}"])
    console.show_table(["bundle", "parameters", "layers", "relative error"], rows)
    console.done("students:", directory.students, f"attnreplace eval --bleu{run_suffix(run)}")
