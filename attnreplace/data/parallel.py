"""Translation corpora: generated, read from files, or fetched."""

from functools import lru_cache, partial
from pathlib import Path

from attnreplace.data.config import GRAMMAR, IWSLT2017, DataConfig
from attnreplace.data.corpus import Corpus, Pairs
from attnreplace.data.files import find_sets
from attnreplace.data.hub import find_dataset_sets
from attnreplace.data.iwslt2017 import TEST_SETS, fetch_archive
from attnreplace.data.reading import Reader
from attnreplace.data.sets import TRAIN, assemble, choose_tests

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
    usual = [name for name in sets if name in TEST_SETS] if config.dataset == IWSLT2017 else None
    if TRAIN in sets:
        sets[TRAIN] = partial(_whole_pairs, sets[TRAIN])
    parts = assemble(sets, config, Pairs([], []), usual=usual)
    return Corpus(config.known_as, config.pair, *parts)


def generate(config: DataConfig) -> Corpus:
    """The grammar's corpus.

    Raises:
        UserError: the grammar lacks the pair or a test set.
    """
    corpus = _drawn(
        config.pair,
        GRAMMAR_TRAIN if config.train_size is None else config.train_size,
        GRAMMAR_HELD_OUT if config.validation_size is None else config.validation_size,
        GRAMMAR_HELD_OUT,
        config.seed,
    )
    readers: dict[str, Reader] = {n: partial(p.head, None) for n, p in corpus.tests.items()}
    tests = choose_tests(readers, config.test_sets or list(readers), "the grammar")
    return Corpus(corpus.name, corpus.pair, corpus.train, corpus.validation, tests)


@lru_cache(maxsize=2)
def _drawn(pair: str, train: int, validation: int, test: int, seed: int) -> Corpus:
    """The grammar's corpus, drawn once for all stages that one process works on."""
    from attnreplace.data.grammar import grammar_corpus

    return grammar_corpus(pair, train, validation, test, seed)


def _whole_pairs(read: Reader) -> Pairs:
    pairs = read()
    kept = [(s, t) for s, t in zip(pairs.source, pairs.target, strict=True) if s and t]
    return Pairs([s for s, _ in kept], [t for _, t in kept])
