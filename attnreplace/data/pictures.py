"""Corpora of images: the digits, folders and archives, `datasets` ids."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from attnreplace.data.config import DIGITS, DataConfig
from attnreplace.data.hub import load_splits
from attnreplace.data.image_files import Found, find_image_sets
from attnreplace.data.images import ImageCorpus, Images
from attnreplace.data.naming import find_parquet
from attnreplace.data.reading import Entry
from attnreplace.data.sets import TRAIN, assemble
from attnreplace.data.strata import LABELLED_SHARES, mixed
from attnreplace.data.tables import column, label_column, read_parquet
from attnreplace.errors import UserError

if TYPE_CHECKING:
    import datasets

IN_MEMORY_MOST = 2**30
"""Bytes of the pixels of a split that is decoded once; larger ones are read image by image."""

ImageReader = Callable[[], Images]


def load_images(config: DataConfig) -> ImageCorpus:
    """Read or fetch images in classes.

    They come in an order in which every beginning has all classes. A split whose images are all
    of one size is decoded into memory if it is no larger than `IN_MEMORY_MOST`.

    Raises:
        UserError: the corpus cannot be had as asked.
    """
    if config.data_dir is not None:
        path = Path(config.data_dir).expanduser()
        if shards := find_parquet(path):
            sets, classes = dataset_sets(_read_shards(shards), config.where)
        else:
            sets, classes = _folder_sets(find_image_sets(path), config.where)
    elif config.known_as == DIGITS:
        from attnreplace.data.digits import CLASSES, read_digits

        sets, classes = {TRAIN: read_digits}, CLASSES
    else:
        sets, classes = dataset_sets(load_splits(config.dataset), config.where)
    in_order = {name: partial(_mixed, read, config.seed) for name, read in sets.items()}
    nothing = Images([], [])
    train, validation, tests = assemble(in_order, config, nothing, shares=LABELLED_SHARES)
    return ImageCorpus(
        config.known_as,
        classes,
        in_memory(train),
        in_memory(validation),
        {name: in_memory(test) for name, test in tests.items()},
    )


def in_memory(images: Images) -> Images:
    """The same images decoded, where all are of one size and few enough; else as they are.

    Raises:
        UserError: a file cannot be read or is no image.
    """
    if not len(images) or images.size is not None:
        return images
    first = images.array(0)
    if first.nbytes * len(images) > IN_MEMORY_MOST:
        return images
    pixels = np.empty((len(images), *first.shape), dtype=np.uint8)
    for index in range(len(images)):
        image = images.array(index)
        if image.shape != first.shape:
            return images
        pixels[index] = image
    return Images(pixels, images.labels)


def dataset_sets(
    splits: Mapping[str, "datasets.Dataset"], where: str
) -> tuple[dict[str, ImageReader], list[str]]:
    """Readers of the splits of a loaded dataset, and the names of the classes.

    Splits that keep their classes to themselves, as some test splits do, are left out.

    Raises:
        UserError: no column of images, or none of classes with names.
    """
    import datasets

    features = next(iter(splits.values())).features
    image = next((n for n, f in features.items() if isinstance(f, datasets.Image)), None)
    named = [name for name, f in features.items() if isinstance(f, datasets.ClassLabel)]
    label = label_column([name for name in features if name in named], named)
    if image is None or label is None:
        raise UserError(
            f"{where} has the columns {', '.join(features)}, where an image and a class label are "
            "needed; take a dataset for image classification"
        )
    sets: dict[str, ImageReader] = {
        str(name): partial(_read_split, split, image, label, f'{where}, split "{name}"')
        for name, split in splits.items()
        if all(value is not None and value >= 0 for value in column(split, label))
    }
    return sets, list(features[label].names)


def _read_shards(shards: Mapping[str, list[Entry]]) -> dict[str, "datasets.Dataset"]:
    import datasets

    return {
        name: datasets.concatenate_datasets([read_parquet(file) for file in files])
        for name, files in shards.items()
    }


def _read_split(split: "datasets.Dataset", image: str, label: str, where: str) -> Images:
    import datasets

    encoded = split.select_columns([image]).cast_column(image, datasets.Image(decode=False))
    items = [
        Entry(f"row {row}", f"{where}, row {row}", partial(_cell, encoded, row, image))
        for row in range(len(split))
    ]
    return Images(items, column(split, label))


def _cell(encoded: "datasets.Dataset", row: int, image: str) -> bytes:
    cell: dict[str, Any] = encoded[row][image]
    return cell["bytes"] if cell["bytes"] is not None else Path(cell["path"]).read_bytes()


def _folder_sets(found: Found, where: str) -> tuple[dict[str, ImageReader], list[str]]:
    """Readers of the sets, and the names of the classes: those of the training set, if any."""
    told = [found[TRAIN]] if TRAIN in found else found.values()
    classes = sorted({name for files in told for name, _ in files})
    index = {name: number for number, name in enumerate(classes)}
    for set_name, files in found.items():
        unknown = next((name for name, _ in files if name not in index), None)
        if unknown is not None:
            raise UserError(
                f'the set "{set_name}" of {where} has the class "{unknown}", which the training '
                "set lacks; take its folder out, or add it to the training set"
            )
    return {
        name: partial(Images, [item for _, item in files], [index[label] for label, _ in files])
        for name, files in found.items()
    }, classes


def _mixed(read: ImageReader, seed: int) -> Images:
    images = read()
    return images.pick(mixed(images.labels, seed))
