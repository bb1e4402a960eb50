"""attnreplace data list | fetch | preview."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from attnreplace_cli import console
from attnreplace_cli.options import DataDirOption, DatasetOption, PairOption, TaskOption

if TYPE_CHECKING:
    from attnreplace.data.config import DataConfig
    from attnreplace.data.preview import SplitPreview

app = typer.Typer(no_args_is_help=True, help="Corpora: list, fetch, preview.")

LINES = {"translation": "pairs", "mlm": "lines", "classification": "lines", "image": "images"}
"""What a split of each task is counted in."""


@app.command("list")
def list_() -> None:
    """List what can be trained on.

    Example: attnreplace data list
    """
    from attnreplace.data.corpora import list_datasets

    rows = [
        [entry.name, entry.tasks, ", ".join(entry.pairs), entry.how] for entry in list_datasets()
    ]
    console.show_table(["dataset", "tasks", "pairs", "how to get it"], rows, numbers=False)
    console.out.print("next: attnreplace data preview --dataset grammar --pair de-en")


@app.command()
def fetch(
    task: TaskOption = None,
    dataset: DatasetOption = None,
    data_dir: DataDirOption = None,
    pair: PairOption = None,
) -> None:
    """Download a corpus now, so that training needs no network.

    Example: attnreplace data fetch --dataset iwslt2017 --pair de-en
    """
    console.progress()
    from attnreplace.data.preview import preview as look

    config = _config(task, dataset, data_dir, pair)
    rows = [[split.name, f"{split.size:,}"] for split in look(config, 0)]
    console.show_table(["split", LINES[config.task]], rows, title=_title(config))
    console.out.print(f"next: attnreplace train{_options(config)}")


@app.command()
def preview(
    task: TaskOption = None,
    dataset: DatasetOption = None,
    data_dir: DataDirOption = None,
    pair: PairOption = None,
    count: Annotated[int, typer.Option(min=1, help="Pairs, lines or images of each split.")] = 3,
) -> None:
    """Show the sizes and the first rows of every split, their classes, and the images' sizes.

    Example: attnreplace data preview --pair en-fr --count 5

    Example: attnreplace data preview --task image --data-dir cifar10.tar.gz
    """
    console.progress()
    from attnreplace.data.preview import preview as look

    config = _config(task, dataset, data_dir, pair)
    splits = look(config, count)
    for split in splits:
        title = f"{split.name}: {split.size:,} {LINES[config.task]}"
        if split.smallest and split.largest:
            title += f", {_extent(split.smallest, split.largest)} pixels"
        console.show_table(*_sample(split, config), title=title, numbers=False)
    if splits[0].classes:
        rows = [
            [name, *(f"{split.classes[name]:,}" for split in splits)] for name in splits[0].classes
        ]
        console.show_table(["class", *(split.name for split in splits)], rows)


def _sample(split: "SplitPreview", config: "DataConfig") -> tuple[list[str], list[list[str]]]:
    """Header and rows of the first pairs, lines or images."""
    from attnreplace.data.corpus import Pairs
    from attnreplace.data.images import Images

    sample, names = split.sample, list(split.classes)
    if isinstance(sample, Pairs):
        pairs = zip(sample.source, sample.target, strict=True)
        return config.pair.split("-"), [list(pair) for pair in pairs]
    if isinstance(sample, Images):
        sizes = [_extent(sample.array(i).shape, sample.array(i).shape) for i in range(len(sample))]
        columns = {"height x width": sizes}
    else:
        columns = {"text": sample.lines}
    if sample.labels is not None:
        columns["class"] = [names[label] for label in sample.labels]
    return list(columns), [list(row) for row in zip(*columns.values(), strict=True)]


def _extent(smallest: tuple[int, ...], largest: tuple[int, ...]) -> str:
    """A size, or from which to which: "32 x 32", "24 x 32 to 480 x 640"."""
    ends = [f"{height} x {width}" for height, width, *_ in (smallest, largest)]
    return " to ".join(dict.fromkeys(ends))


def _title(config: "DataConfig") -> str:
    return f"{config.known_as} {config.pair}" if config.task == "translation" else config.known_as


def _options(config: "DataConfig") -> str:
    """What the next command says to mean the same data."""
    given = [
        ("task", config.task if config.task != "translation" else None),
        ("data-dir", config.data_dir),
        ("dataset", None if config.data_dir else config.dataset),
        ("pair", config.pair if config.task == "translation" else None),
    ]
    return "".join(f" --{name} {value}" for name, value in given if value)


def _config(
    task: str | None, dataset: str | None, data_dir: Path | None, pair: str | None
) -> "DataConfig":
    from attnreplace.data.config import DataConfig

    default = DataConfig()
    return DataConfig(
        task=task or default.task,
        dataset=dataset or default.dataset,
        data_dir=None if data_dir is None else str(data_dir),
        pair=pair or default.pair,
    )
