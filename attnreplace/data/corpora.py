"""Corpora by their configuration: what there is, loading it, a look at it."""

from dataclasses import dataclass

from attnreplace.data.config import DIGITS, GRAMMAR, IWSLT2017, DataConfig
from attnreplace.data.corpus import Corpus, Pairs
from attnreplace.data.images import ImageCorpus, Images
from attnreplace.data.iwslt2017 import PAIRS
from attnreplace.data.sets import TRAIN
from attnreplace.data.texts import TextCorpus, Texts

AnyCorpus = Corpus | TextCorpus | ImageCorpus


@dataclass(frozen=True)
class DatasetEntry:
    """A line of the list of datasets."""

    name: str
    """What to give as `dataset`."""
    task: str
    """What it is for."""
    pairs: list[str]
    """Its pairs; none: whichever it holds, or it is not for translation."""
    how: str
    """How to get it."""


@dataclass(frozen=True)
class SplitPreview:
    """A look at one split."""

    name: str
    size: int
    sample: Pairs | Texts | Images
    """The first rows."""


def load_corpus(config: DataConfig) -> AnyCorpus:
    """Generate, read or fetch the corpus of a task.

    Raises:
        UserError: the corpus cannot be had as asked.
    """
    match config.task:
        case "translation":
            from attnreplace.data.parallel import load_parallel

            return load_parallel(config)
        case "image":
            from attnreplace.data.pictures import load_images

            return load_images(config)
    from attnreplace.data.monolingual import load_texts

    return load_texts(config)


def list_datasets() -> list[DatasetEntry]:
    """What can be loaded."""
    from attnreplace.data.grammar import PAIRS as GRAMMAR_PAIRS

    return [
        DatasetEntry(
            GRAMMAR, "translation, mlm", list(GRAMMAR_PAIRS), "generated; nothing to download"
        ),
        DatasetEntry(DIGITS, "image", [], "comes with scikit-learn; nothing to download"),
        DatasetEntry(
            IWSLT2017,
            "translation",
            list(PAIRS),
            "fetched from the Hugging Face Hub, or its zip: --data-dir",
        ),
        DatasetEntry(
            "<owner>/<name>[:config]",
            "translation",
            [],
            "any `datasets` id with a translation field",
        ),
    ]


def preview(config: DataConfig, count: int = 3) -> list[SplitPreview]:
    """The size and the first `count` rows of every split.

    Raises:
        UserError: the corpus cannot be had as asked.
    """
    corpus = load_corpus(config)
    splits = {TRAIN: corpus.train, "validation": corpus.validation, **corpus.tests}
    return [SplitPreview(name, len(split), split.head(count)) for name, split in splits.items()]
