"""attnreplace tune."""

from typing import Annotated

import typer

from attnreplace.rundir import DEFAULT_RUN, run_suffix
from attnreplace_cli import console
from attnreplace_cli.options import OverwriteOption, RunOption, SetOption, configure, words


def tune(
    bundle: Annotated[
        str | None,
        typer.Option(
            "--bundle",
            help="What to tune: alr-m, alr-m:0-2, or several joined by +; tuned/NAME is tuned on; "
            "teacher: itself, with --train all, norms or lora.",
        ),
    ] = None,
    loss: Annotated[
        str | None,
        typer.Option("--loss", help="kl, ce, hidden, forced; several with commas (kl,ce)."),
    ] = None,
    train: Annotated[
        str | None,
        typer.Option(
            "--train",
            help="What changes: students, norms (too), lora (adapters, too; needs peft), or all.",
        ),
    ] = None,
    lora_rank: Annotated[int | None, typer.Option(help="Rank of the adapters of lora.")] = None,
    order: Annotated[
        str | None,
        typer.Option("--order", help="Sites one after the other, as encoder,decoder,cross."),
    ] = None,
    start: Annotated[
        str | None,
        typer.Option("--start", help="distilled students, untrained ones, or all from scratch."),
    ] = None,
    targets: Annotated[
        str | None,
        typer.Option("--targets", help="reference, or teacher: its own translations."),
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="Passes over the corpus, at most.")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Peak learning rate.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the batches' order.")] = None,
    name: Annotated[str | None, typer.Option(help="The folder in tuned/.")] = None,
    run: RunOption = DEFAULT_RUN,
    assignments: SetOption = None,
    overwrite: OverwriteOption = False,
) -> None:
    """Train a spliced model as a whole: end to end, on its own inputs, or from scratch.

    Example: attnreplace tune --bundle alr-m+alr-m-decoder --loss kl,ce --train students
    """
    progress = console.progress()
    from attnreplace.rundir import RunDir
    from attnreplace.tasks import get_task
    from attnreplace.tune.folder import tuned_record
    from attnreplace.tune.tune import tune as tune_model

    directory = RunDir(run)
    options = {
        "system": bundle,
        "losses": words(loss),
        "train": train,
        "lora_rank": lora_rank,
        "order": words(order),
        "start": start,
        "targets": targets,
        "epochs": epochs,
        "learning_rate": learning_rate,
        "seed": seed,
        "name": name,
    }
    config = configure(directory, {"tune": options}, assignments, stage="tune", progress=progress)
    folder = tune_model(
        directory, config.tune, config.training, overwrite=overwrite, progress=progress
    )
    metric, best = get_task(config.data.task).metric, tuned_record(directory, folder.name)["best"]
    score = best[f"validation_{metric.name}"]
    console.done(
        f"tuned model, validation {metric.label} {score:.2f} (epoch {best['epoch']}):",
        folder,
        f"attnreplace eval --bundle tuned/{folder.name}{run_suffix(run)}",
    )
