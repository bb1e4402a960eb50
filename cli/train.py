"""attnreplace train."""

from pathlib import Path
from typing import Annotated

import typer

from attnreplace_cli import console
from attnreplace_cli.options import (
    DEFAULT_RUN,
    DataDirOption,
    DatasetOption,
    OverwriteOption,
    PairOption,
    PresetOption,
    RunOption,
    SetOption,
    configure,
    run_suffix,
)


def train(
    dataset: DatasetOption = None,
    data_dir: DataDirOption = None,
    pair: PairOption = None,
    preset: PresetOption = None,
    norm: Annotated[str | None, typer.Option(help="LayerNorm: pre or post.")] = None,
    d_model: Annotated[int | None, typer.Option(help="Width of the residual stream.")] = None,
    layers: Annotated[int | None, typer.Option(help="Encoder and decoder layers, each.")] = None,
    heads: Annotated[int | None, typer.Option(help="Heads of every attention layer.")] = None,
    d_ff: Annotated[int | None, typer.Option(help="Width of the feed-forward layers.")] = None,
    vocab_size: Annotated[int | None, typer.Option(help="Pieces of the joint BPE.")] = None,
    max_length: Annotated[int | None, typer.Option(help="Longest sentence in tokens.")] = None,
    epochs: Annotated[int | None, typer.Option(help="Passes over the corpus, at most.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the training.")] = None,
    run: RunOption = DEFAULT_RUN,
    assignments: SetOption = None,
    overwrite: OverwriteOption = False,
) -> None:
    """Train a teacher: a Transformer for translation. An interrupted training goes on.

    Example: attnreplace train --dataset iwslt2017 --pair de-en --preset paper --run runs/iwslt

    On several devices: accelerate launch -m attnreplace_cli.main train ...
    """
    progress = console.progress()
    from attnreplace.rundir import RunDir
    from attnreplace.teacher.train import train as train_teacher

    directory = RunDir(run)
    folder = None if data_dir is None else Path(data_dir).resolve()
    config = configure(
        directory,
        {
            "data": {"dataset": dataset, "data_dir": folder, "pair": pair},
            "teacher": {
                "preset": preset,
                "norm": norm,
                "d_model": d_model,
                "encoder_layers": layers,
                "decoder_layers": layers,
                "num_heads": heads,
                "d_ff": d_ff,
                "vocab_size": vocab_size,
                "max_length": max_length,
            },
            "training": {"epochs": epochs, "seed": seed},
        },
        assignments,
    )
    teacher = train_teacher(
        directory,
        config.data,
        config.teacher,
        config.training,
        overwrite=overwrite,
        progress=progress,
    )
    best = teacher.record["best"]
    console.done(
        f"teacher, {teacher.record['parameters']['total']:,} parameters, validation BLEU "
        f"{best['validation_bleu']:.2f} (epoch {best['epoch']}):",
        directory.teacher,
        f"attnreplace extract{run_suffix(run)}",
    )
