"""Corpora of text in one language: the grammar's, of files, of `datasets` ids."""

from functools import partial
from pathlib import Path

from attnreplace.data.config import GRAMMAR, DataConfig
from attnreplace.data.hub import load_splits
from attnreplace.data.labelled import label_sets
from attnreplace.data.parallel import generate
from attnreplace.data.sets import assemble
from attnreplace.data.strata import LABELLED_SHARES
from attnreplace.data.tables import TableReader, dataset_table, texts
from attnreplace.data.text_files import find_text_sets
from attnreplace.data.texts import TextCorpus, Texts
from attnreplace.errors import UserError

TEXT_SHARES = (0.96, 0.02)
"""Of text in one piece, the lines to train and to validate on; the rest is for tests."""


def load_texts(config: DataConfig) -> TextCorpus:
    """Generate, read or fetch text for masked language modelling or classification.

    Empty lines are dropped where tokens are masked. Where lines have classes, they come in an
    order in which every beginning has all of them.

    Raises:
        UserError: the corpus cannot be had as asked.
    """
    if config.data_dir is not None:
        sets = find_text_sets(Path(config.data_dir).expanduser(), config.task)
    elif config.known_as == GRAMMAR:
        return _grammar(config)
    elif config.known_as:
        sets = {
            name: partial(dataset_table, split, f'{config.where}, split "{name}"')
            for name, split in load_splits(config.dataset).items()
        }
    else:
        raise UserError(
            f"the task {config.task} has no embedded data; give --data-dir (TSV or JSON lines with "
            "a text and a label) or --dataset (a `datasets` id)"
        )
    if config.task == "mlm":
        plain = {name: partial(_unlabelled, read) for name, read in sets.items()}
        parts = assemble(plain, config, Texts([]), shares=TEXT_SHARES)
        return TextCorpus(config.known_as, config.task, *parts)
    labelled, classes = label_sets(sets, config)
    parts = assemble(labelled, config, Texts([], []), shares=LABELLED_SHARES)
    return TextCorpus(config.known_as, config.task, *parts, classes)


def _grammar(config: DataConfig) -> TextCorpus:
    """The sentences of the grammar in the source language of the pair."""
    corpus = generate(config)
    return TextCorpus(
        corpus.name,
        config.task,
        Texts(corpus.train.source),
        Texts(corpus.validation.source),
        {name: Texts(pairs.source) for name, pairs in corpus.tests.items()},
    )


def _unlabelled(read: TableReader) -> Texts:
    return Texts([line for line in texts(read()) if line])
