"""Corpora by their configuration: what there is, and loading it."""

from dataclasses import dataclass

from attnreplace.data.config import DIGITS, EMBEDDED, GRAMMAR, IWSLT2017, DataConfig
from attnreplace.data.corpus import Corpus
from attnreplace.data.images import ImageCorpus
from attnreplace.data.iwslt2017 import PAIRS
from attnreplace.data.texts import TextCorpus

AnyCorpus = Corpus | TextCorpus | ImageCorpus


@dataclass(frozen=True)
class DatasetEntry:
    """A line of the list of datasets."""

    name: str
    """What to give as `dataset`."""
    tasks: str
    """What it is for."""
    pairs: list[str]
    """Its pairs, as far as they are known."""
    how: str
    """How to get it."""


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

    own = "your own, with --data-dir:"
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
            ", ".join(EMBEDDED),
            [],
            "any `datasets` id with translations, a text column, text and class label, or image "
            "and class label",
        ),
        DatasetEntry("(any name)", "translation", [], f"{own} parallel text, JSON lines, Parquet"),
        DatasetEntry("(any name)", "mlm", [], f"{own} a text file, or train.txt, valid.txt, ..."),
        DatasetEntry(
            "(any name)", "classification", [], f"{own} TSV as in GLUE, JSON lines, Parquet"
        ),
        DatasetEntry(
            "(any name)", "image", [], f"{own} train/<class>/*.png or .jpg, a zip or tar of these"
        ),
    ]
