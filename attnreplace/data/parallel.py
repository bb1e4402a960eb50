"""Translation corpora: generated, read from files, or fetched."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path

from attnreplace.data.config import GRAMMAR, IWSLT2017, DataConfig
from attnreplace.data.corpus import Corpus, Pairs
from attnreplace.data.files import find_sets
from attnreplace.data.hub import find_dataset_sets
from attnreplace.data.iwslt2017 import TEST_SETS, fetch_archive
from attnreplace.data.reading import Reader
from attnreplace.data.sets import (
    TRAIN,
    hold_out,
    not_empty,
    read_tests,
    read_train,
    usual_tests,
    validation_set,
)

GRAMMAR_TRAIN = 20_000
GRAMMAR_HELD_OUT = 300


def load_parallel(config: DataConfig) -> Corpus:
    """Generate, read or fetch a translation corpus.

    Training pairs with an empty side are dropped; validation and test sets are kept whole.

    Raises:
        UserError: the corpus cannot be had as asked.
    """
    if config.data_dir is not None:
        sets = find_sets(Path(config.data_dir).expanduser(), config.pair)
    elif config.known_as == GRAMMAR:
        return generate(config)
    elif config.dataset == IWSLT2017:
        sets = find_sets(fetch_archive(config.pair), config.pair)
    else:
        sets = find_dataset_sets(config.dataset, config.pair)
    return _assemble(sets, config)


def generate(config: DataConfig) -> Corpus:
    """The grammar's corpus.

    Raises:
        UserError: the grammar lacks the pair or a test set.
    """
    from attnreplace.data.grammar import grammar_corpus

    corpus = grammar_corpus(
        config.pair,
        GRAMMAR_TRAIN if config.train_size is None else config.train_size,
        GRAMMAR_HELD_OUT if config.validation_size is None else config.validation_size,
        GRAMMAR_HELD_OUT,
        config.seed,
    )
    readers: dict[str, Reader] = {n: partial(p.head, None) for n, p in corpus.tests.items()}
    tests = read_tests(readers, config.test_sets or list(readers), "the grammar")
    return Corpus(corpus.name, corpus.pair, corpus.train, corpus.validation, tests)


def _assemble(sets: Mapping[str, Reader], config: DataConfig) -> Corpus:
    """The corpus of the sets that the configuration asks for; no other is read."""
    validation_name = validation_set(sets)
    test_sets = {n: read for n, read in sets.items() if n not in (TRAIN, validation_name)}
    wants_train = config.train_size != 0
    train = _whole_pairs(read_train(sets, config.where)) if wants_train else Pairs([], [])
    if validation_name is not None:
        validation = not_empty(sets[validation_name](), validation_name, config.where)
    else:
        train, validation = hold_out(train)
    if wants_train:
        not_empty(train, TRAIN, config.where)
    if config.dataset == IWSLT2017:
        usual = [name for name in test_sets if name in TEST_SETS]
    else:
        usual = usual_tests(test_sets)
    return Corpus(
        config.known_as,
        config.pair,
        train.head(config.train_size),
        validation.head(config.validation_size),
        read_tests(test_sets, config.test_sets or usual, config.where),
    )


def _whole_pairs(pairs: Pairs) -> Pairs:
    kept = [(s, t) for s, t in zip(pairs.source, pairs.target, strict=True) if s and t]
    return Pairs([s for s, _ in kept], [t for _, t in kept])
