"""Corpora by their configuration: what there is, loading it, a look at it."""

from dataclasses import dataclass

from attnreplace.data.config import DIGITS, GRAMMAR, IWSLT2017, DataConfig
from attnreplace.data.corpus import Corpus, Pairs
from attnreplace.data.images import ImageCorpus, Images
from attnreplace.data.iwslt2017 import PAIRS
from attnreplace.data.sets import TRAIN
from attnreplace.data.texts import TextCorpus, Texts
from attnreplace.errors import UserError

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
            return _load_images(config)
    return _load_texts(config)


def _load_images(config: DataConfig) -> ImageCorpus:
    from attnreplace.data.digits import digits_corpus

    corpus = digits_corpus(config.seed)
    return ImageCorpus(
        corpus.name,
        corpus.classes,
        corpus.train.head(config.train_size),
        corpus.validation.head(config.validation_size),
        corpus.tests,
    )


def _load_texts(config: DataConfig) -> TextCorpus:
    from attnreplace.data.monolingual import grammar_text

    if config.task == "classification":
        raise UserError(
            "the task classification has no embedded data; give --data-dir (TSV or JSON lines "
            "with a text and a label) or --dataset (a `datasets` id)"
        )
    return grammar_text(config)


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
