"""attnreplace extract."""

from typing import Annotated

import typer

from attnreplace.rundir import DEFAULT_RUN, run_suffix
from attnreplace_cli import console
from attnreplace_cli.options import (
    LayersOption,
    OverwriteOption,
    RunOption,
    SetOption,
    configure,
    words,
)


def extract(
    sites: Annotated[
        str | None,
        typer.Option(
            help="Whose attention: encoder (self), decoder (self), cross, or single ones as "
            "decoder.cross.0; several with commas; or all."
        ),
    ] = None,
    layers: LayersOption = None,
    dtype: Annotated[str | None, typer.Option(help="float16, bfloat16 or float32.")] = None,
    max_train: Annotated[
        int | None, typer.Option(help="Training sentences, from the first; default all.")
    ] = None,
    run: RunOption = DEFAULT_RUN,
    assignments: SetOption = None,
    overwrite: OverwriteOption = False,
) -> None:
    """Capture what the teacher's attention layers read and write, as HDF5.

    Example: attnreplace extract --sites all --run runs/iwslt

    On several devices: torchrun --nproc-per-node gpu -m -- attnreplace_cli.main extract ...
    """
    progress = console.progress()
    from attnreplace.activations.extract import extract as extract_activations
    from attnreplace.activations.schema import readable_bytes
    from attnreplace.hosts import GROUPS, Site
    from attnreplace.rundir import RunDir

    directory = RunDir(run)
    options = {"sites": words(sites), "layers": layers, "dtype": dtype, "max_train": max_train}
    config = configure(
        directory, {"extract": options}, assignments, stage="extract", progress=progress
    )
    store = extract_activations(directory, config.extract, overwrite=overwrite, progress=progress)
    groups = {Site.parse(site).group for site in store.identity.sites}
    tokens = f"{sum(store.tokens(split) for split in store.splits):,} tokens"
    if groups != {"encoder"}:
        target = sum(store.tokens(split, "target") for split in store.splits)
        tokens = f"{tokens} of the source and {target:,} of the target"
    chosen = [group for group in GROUPS if group in groups]
    whose = "all" if len(chosen) == len(GROUPS) else ",".join(chosen)
    then = "" if chosen == ["encoder"] else f" --sites {whose}"
    console.done(
        f"{len(store.names)} tensors, {tokens}, {readable_bytes(store.nbytes)}:",
        store.path,
        f"attnreplace distill{then} --method alr --size m{run_suffix(run)}",
    )
