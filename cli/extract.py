"""attnreplace extract."""

from typing import Annotated

import typer

from attnreplace_cli import console
from attnreplace_cli.options import (
    DEFAULT_RUN,
    OverwriteOption,
    RunOption,
    SetOption,
    configure,
    run_suffix,
    words,
)


def extract(
    sites: Annotated[
        str | None, typer.Option(help="Attention to capture: encoder, or encoder.self.0,...")
    ] = None,
    dtype: Annotated[str | None, typer.Option(help="float16, bfloat16 or float32.")] = None,
    max_train: Annotated[
        int | None, typer.Option(help="Training sentences, from the first; default all.")
    ] = None,
    run: RunOption = DEFAULT_RUN,
    assignments: SetOption = None,
    overwrite: OverwriteOption = False,
) -> None:
    """Capture what the teacher's attention layers read and write, as HDF5.

    Example: attnreplace extract --run runs/iwslt
    """
    progress = console.progress()
    from attnreplace.activations.extract import extract as extract_activations
    from attnreplace.activations.schema import readable_bytes
    from attnreplace.rundir import RunDir

    directory = RunDir(run)
    options = {"sites": words(sites), "dtype": dtype, "max_train": max_train}
    config = configure(directory, {"extract": options}, assignments)
    store = extract_activations(directory, config.extract, overwrite=overwrite, progress=progress)
    tokens = sum(store.tokens(split) for split in store.splits)
    console.done(
        f"{len(store.names)} tensors, {tokens:,} tokens, {readable_bytes(store.nbytes)}:",
        store.path,
        f"attnreplace distill --method alrr --size m{run_suffix(run)}",
    )
