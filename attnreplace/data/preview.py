"""A look at a corpus: its sizes, its first rows, its classes."""

from collections import Counter
from dataclasses import dataclass, field, replace

from attnreplace.data.config import DataConfig
from attnreplace.data.corpora import load_corpus
from attnreplace.data.corpus import Corpus, Pairs
from attnreplace.data.images import Images
from attnreplace.data.sets import TRAIN
from attnreplace.data.texts import Texts

LOOKED_AT = 200
"""Of images that are not in memory, how many have their size looked at."""


@dataclass(frozen=True)
class SplitPreview:
    """A look at one split."""

    name: str
    size: int
    sample: Pairs | Texts | Images
    """The first rows."""
    classes: dict[str, int] = field(default_factory=dict)
    """How many rows are of each class."""
    smallest: tuple[int, int] | None = None
    """Least height and least width of the images."""
    largest: tuple[int, int] | None = None
    """Greatest height and greatest width of the images."""


def preview(config: DataConfig, count: int = 3) -> list[SplitPreview]:
    """The size and the first `count` rows of every split, and what there is of classes and pixels.

    Raises:
        UserError: the corpus cannot be had as asked.
    """
    corpus = load_corpus(config)
    classes = [] if isinstance(corpus, Corpus) else corpus.classes
    splits = {TRAIN: corpus.train, "validation": corpus.validation, **corpus.tests}
    return [_look(name, split, classes, count) for name, split in splits.items()]


def _look(name: str, split: Pairs | Texts | Images, classes: list[str], count: int) -> SplitPreview:
    labels = None if isinstance(split, Pairs) else split.labels
    found = Counter(labels or [])
    counts = {label: found[index] for index, label in enumerate(classes)}
    look = SplitPreview(name, len(split), split.head(count), counts)
    if count and len(split) and isinstance(split, Images):
        heights, widths = zip(*_sizes(split), strict=True)
        smallest, largest = (min(heights), min(widths)), (max(heights), max(widths))
        return replace(look, smallest=smallest, largest=largest)
    return look


def _sizes(images: Images) -> list[tuple[int, int]]:
    if images.size is not None:
        return [images.size]
    step = max(1, len(images) // LOOKED_AT)
    return [images.array(index).shape[:2] for index in range(0, len(images), step)]
