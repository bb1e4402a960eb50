"""attnreplace data list | fetch | preview."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from attnreplace_cli import console
from attnreplace_cli.options import DataDirOption, DatasetOption, PairOption

if TYPE_CHECKING:
    from attnreplace.data.corpora import DataConfig

app = typer.Typer(no_args_is_help=True, help="Corpora: list, fetch, preview.")


@app.command("list")
def list_() -> None:
    """List what can be trained on.

    Example: attnreplace data list
    """
    from attnreplace.data.corpora import list_datasets

    rows = [[entry.name, ", ".join(entry.pairs) or "any", entry.how] for entry in list_datasets()]
    console.show_table(["dataset", "pairs", "how to get it"], rows, numbers=False)
    console.out.print("next: attnreplace data preview --dataset grammar --pair de-en")


@app.command()
def fetch(
    dataset: DatasetOption = None, data_dir: DataDirOption = None, pair: PairOption = None
) -> None:
    """Download a corpus now, so that training needs no network.

    Example: attnreplace data fetch --dataset iwslt2017 --pair de-en
    """
    console.progress()
    from attnreplace.data.corpora import preview as look

    config = _config(dataset, data_dir, pair)
    rows = [[split.name, f"{split.size:,}"] for split in look(config, 0)]
    console.show_table(["split", "pairs"], rows, title=f"{config.dataset} {config.pair}")
    source = f"--data-dir {config.data_dir}" if config.data_dir else f"--dataset {config.dataset}"
    console.out.print(f"next: attnreplace train {source} --pair {config.pair}")


@app.command()
def preview(
    dataset: DatasetOption = None,
    data_dir: DataDirOption = None,
    pair: PairOption = None,
    count: Annotated[int, typer.Option(min=1, help="Pairs of each split.")] = 3,
) -> None:
    """Show the first pairs of every split.

    Example: attnreplace data preview --pair en-fr --count 5
    """
    console.progress()
    from attnreplace.data.corpora import preview as look

    config = _config(dataset, data_dir, pair)
    source, target = config.pair.split("-")
    for split in look(config, count):
        pairs = zip(split.sample.source, split.sample.target, strict=True)
        rows = [[text, translation] for text, translation in pairs]
        console.show_table(
            [source, target], rows, title=f"{split.name}: {split.size:,} pairs", numbers=False
        )


def _config(dataset: str | None, data_dir: Path | None, pair: str | None) -> "DataConfig":
    from attnreplace.data.corpora import DataConfig

    default = DataConfig()
    return DataConfig(
        dataset=dataset or default.dataset,
        data_dir=None if data_dir is None else str(data_dir),
        pair=pair or default.pair,
    )
