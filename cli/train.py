"""attnreplace train."""

from pathlib import Path
from typing import Annotated

import typer

from attnreplace.rundir import DEFAULT_RUN, run_suffix
from attnreplace_cli import console
from attnreplace_cli.options import (
    ConfigArgument,
    DataDirOption,
    DatasetOption,
    ModelOption,
    OverwriteOption,
    PairOption,
    PresetOption,
    PretrainedOption,
    RunOption,
    SetOption,
    TaskOption,
    configure,
    pretrained_name,
)


def train(
    config: ConfigArgument = None,
    task: TaskOption = None,
    dataset: DatasetOption = None,
    data_dir: DataDirOption = None,
    pair: PairOption = None,
    preset: PresetOption = None,
    model: ModelOption = None,
    pretrained: PretrainedOption = None,
    norm: Annotated[str | None, typer.Option(help="LayerNorm: pre or post.")] = None,
    d_model: Annotated[int | None, typer.Option(help="Width of the residual stream.")] = None,
    layers: Annotated[int | None, typer.Option(help="Layers, of encoder and decoder each.")] = None,
    heads: Annotated[int | None, typer.Option(help="Heads of every attention layer.")] = None,
    d_ff: Annotated[int | None, typer.Option(help="Width of the feed-forward layers.")] = None,
    vocab_size: Annotated[int | None, typer.Option(help="Pieces of the BPE, at most.")] = None,
    max_length: Annotated[int | None, typer.Option(help="Longest sentence in tokens.")] = None,
    epochs: Annotated[int | None, typer.Option(help="Passes over the corpus, at most.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the training.")] = None,
    run: RunOption = DEFAULT_RUN,
    assignments: SetOption = None,
    overwrite: OverwriteOption = False,
) -> None:
    """Train a teacher from scratch or from pretrained weights. An interrupted training goes on.

    Example: attnreplace train --dataset iwslt2017 --pair de-en --preset paper --run runs/iwslt

    From a file, whose other sections the next stages read: attnreplace train FILE.toml

    Of images: attnreplace train --task image --model gmlp --run runs/digits

    On several devices: torchrun --nproc-per-node gpu -m -- attnreplace_cli.main train ...
    """
    progress = console.progress()
    from attnreplace.config import RunConfig
    from attnreplace.hosts import HOSTS
    from attnreplace.rundir import RunDir
    from attnreplace.tasks import get_task
    from attnreplace.teacher.train import train as train_teacher

    directory = RunDir(run)
    base = directory.config() if config is None else RunConfig.load(config)
    asked = task or base.data.task
    depth = ["encoder_layers", "decoder_layers"] if asked == "translation" else ["layers"]
    folder = None if data_dir is None else Path(data_dir).resolve()
    resolved = configure(
        directory,
        {
            "data": {"task": task, "dataset": dataset, "data_dir": folder, "pair": pair},
            "teacher": {
                "preset": preset,
                "model": model,
                "pretrained": pretrained_name(pretrained),
                "norm": norm,
                "d_model": d_model,
                **dict.fromkeys(depth, layers),
                "num_heads": heads,
                "d_ff": d_ff,
                "vocab_size": vocab_size,
                "max_length": max_length,
            },
            "training": {"epochs": epochs, "seed": seed},
        },
        assignments,
        config,
    )
    teacher = train_teacher(
        directory,
        resolved.data,
        resolved.teacher,
        resolved.training,
        overwrite=overwrite,
        progress=progress,
    )
    if config is not None:  # its other sections are for the stages that follow
        directory.update_stages(resolved)
    metric = get_task(resolved.data.task).metric
    best = teacher.record.get("best")
    how = "as it was found"
    if best is not None:
        score = best[f"validation_{metric.name}"]
        how = f"validation {metric.label} {score:.2f} (epoch {best['epoch']})"
    # A model without attention has none to replace.
    has_attention = any(teacher.model.config.model_type in host.model_types for host in HOSTS)
    following = "extract" if has_attention else "eval"
    console.done(
        f"teacher, {teacher.record['parameters']['total']:,} parameters, {how}:",
        directory.teacher,
        f"attnreplace {following}{run_suffix(run)}",
    )
