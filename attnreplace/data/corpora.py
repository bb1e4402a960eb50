"""Which corpus, and how much of it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial, reduce
from pathlib import Path

from attnreplace.data.corpus import Corpus, Pairs
from attnreplace.data.files import TRAIN, find_sets, validation_set
from attnreplace.data.hub import find_dataset_sets
from attnreplace.data.iwslt2017 import PAIRS, TEST_SETS, fetch_archive
from attnreplace.data.reading import Reader
from attnreplace.errors import UserError

GRAMMAR = "grammar"
IWSLT2017 = "iwslt2017"
GRAMMAR_TRAIN = 20_000
GRAMMAR_HELD_OUT = 300

HELD_OUT_MOST = 1_000
HELD_OUT_PART = 20
"""Without a validation set, one pair in so many is held out, at most `HELD_OUT_MOST`."""


@dataclass(frozen=True)
class DataConfig:
    """Which corpus to load, and how much of it."""

    dataset: str = GRAMMAR
    """"grammar" (generated), "iwslt2017", or a `datasets` id, with its config as "id:config"."""
    data_dir: str | None = None
    """A folder or zip of corpus files to read instead of generating or fetching."""
    pair: str = "de-en"
    """Source and target language."""
    test_sets: list[str] = field(default_factory=list)
    """Test sets by name, "tst2010+tst2011" being two joined. Empty: all but those whose names
    begin with train, val or dev; for iwslt2017 tst2010 to tst2015."""
    train_size: int | None = None
    """Pairs to train on, the first ones (None: all; the grammar makes 20,000). With 0 no
    training set is needed."""
    validation_size: int | None = None
    """Pairs to validate on, the first ones (None: all; the grammar makes 300)."""
    seed: int = 0
    """Seed of the grammar's sentences."""

    def __post_init__(self) -> None:
        if not re.fullmatch(r"([a-z]{2,3})-(?!\1$)[a-z]{2,3}", self.pair):
            raise UserError(
                f'pair "{self.pair}" should be the codes of two languages, source-target, as in '
                '"de-en"'
            )
        if not re.fullmatch(r"[\w.-]+(/[\w.-]+)?(:[^:]+)?", self.dataset):
            raise UserError(
                f'dataset "{self.dataset}" should be "grammar", "iwslt2017" or a `datasets` id, as '
                'in "owner/name" or "owner/name:config"; a folder goes into data_dir'
            )
        for name, least in (("train_size", 0), ("validation_size", 1)):
            size = getattr(self, name)
            if size is not None and size < least:
                raise UserError(f"{name} = {size} should be at least {least}")


@dataclass(frozen=True)
class DatasetEntry:
    """A line of the list of datasets."""

    name: str
    """What to give as `dataset`."""
    pairs: list[str]
    """Its pairs; none: whichever it holds."""
    how: str
    """How to get it."""


@dataclass(frozen=True)
class SplitPreview:
    """A look at one split."""

    name: str
    size: int
    pairs: Pairs
    """The first pairs."""


def load_corpus(config: DataConfig) -> Corpus:
    """Generate, read or fetch a corpus.

    Training pairs with an empty side are dropped; validation and test sets are kept whole.

    Raises:
        UserError: the corpus cannot be had as asked.
    """
    if config.data_dir is not None:
        path = Path(config.data_dir).expanduser()
        folder = path.resolve().name.removesuffix(".zip")
        name = folder if config.dataset == GRAMMAR else config.dataset
        return _assemble(name, find_sets(path, config.pair), str(path), config)
    if config.dataset == GRAMMAR:
        return _generate(config)
    if config.dataset == IWSLT2017:
        sets = find_sets(fetch_archive(config.pair), config.pair)
    else:
        sets = find_dataset_sets(config.dataset, config.pair)
    return _assemble(config.dataset, sets, f'dataset "{config.dataset}"', config)


def list_datasets() -> list[DatasetEntry]:
    """What can be loaded."""
    from attnreplace.data.grammar import PAIRS as GRAMMAR_PAIRS

    return [
        DatasetEntry(GRAMMAR, list(GRAMMAR_PAIRS), "generated; nothing to download"),
        DatasetEntry(
            IWSLT2017, list(PAIRS), "fetched from the Hugging Face Hub, or its zip: --data-dir"
        ),
        DatasetEntry("<owner>/<name>[:config]", [], "any `datasets` id with a translation field"),
        DatasetEntry("(any name)", [], "your own parallel text, JSON lines, Parquet: --data-dir"),
    ]


def preview(config: DataConfig, count: int = 3) -> list[SplitPreview]:
    """The size and the first `count` pairs of every split.

    Raises:
        UserError: the corpus cannot be had as asked.
    """
    corpus = load_corpus(config)
    splits = {TRAIN: corpus.train, "validation": corpus.validation, **corpus.tests}
    return [SplitPreview(name, len(pairs), pairs.head(count)) for name, pairs in splits.items()]


def _generate(config: DataConfig) -> Corpus:
    from attnreplace.data.grammar import grammar_corpus

    corpus = grammar_corpus(
        config.pair,
        GRAMMAR_TRAIN if config.train_size is None else config.train_size,
        GRAMMAR_HELD_OUT if config.validation_size is None else config.validation_size,
        GRAMMAR_HELD_OUT,
        config.seed,
    )
    readers: dict[str, Reader] = {n: partial(p.head, None) for n, p in corpus.tests.items()}
    tests = _tests(readers, config.test_sets or list(readers), "the grammar")
    return Corpus(corpus.name, corpus.pair, corpus.train, corpus.validation, tests)


def _assemble(name: str, sets: Mapping[str, Reader], where: str, config: DataConfig) -> Corpus:
    """The corpus of the sets that the configuration asks for; no other is read."""
    validation_name = validation_set(sets)
    test_sets = {n: read for n, read in sets.items() if n not in (TRAIN, validation_name)}
    wants_train = config.train_size != 0
    train = _train(sets, where) if wants_train else Pairs([], [])
    if validation_name is not None:
        validation = _not_empty(sets[validation_name](), validation_name, where)
    else:
        train, validation = _hold_out(train)
    if wants_train:
        _not_empty(train, TRAIN, where)
    if config.dataset == IWSLT2017:
        usual = [n for n in test_sets if n in TEST_SETS]
    else:
        usual = [n for n in test_sets if not re.search(r"(^|\.)(train|val|dev)", n)]
    return Corpus(
        name,
        config.pair,
        train.head(config.train_size),
        validation.head(config.validation_size),
        _tests(test_sets, config.test_sets or usual, where),
    )


def _train(sets: Mapping[str, Reader], where: str) -> Pairs:
    if TRAIN not in sets:
        raise UserError(
            f"{where} has no training set (only {', '.join(sets)}); add one, or set train_size = 0 "
            "where none is needed"
        )
    pairs = sets[TRAIN]()
    kept = [(s, t) for s, t in zip(pairs.source, pairs.target, strict=True) if s and t]
    return Pairs([s for s, _ in kept], [t for _, t in kept])


def _hold_out(train: Pairs) -> tuple[Pairs, Pairs]:
    """The training pairs, and the last of them as validation pairs."""
    count = min(HELD_OUT_MOST, -(-len(train) // HELD_OUT_PART))  # rounded up: never none
    split = len(train) - count
    return train.head(split), Pairs(train.source[split:], train.target[split:])


def _tests(sets: Mapping[str, Reader], asked: list[str], where: str) -> dict[str, Pairs]:
    """The test sets asked for, each read once."""
    parts = {name: [name] if name in sets else name.split("+") for name in asked}
    wanted = dict.fromkeys(part for names in parts.values() for part in names)
    unknown = [part for part in wanted if part not in sets]
    if unknown:
        raise UserError(
            f'{where} has no test set "{unknown[0]}"; choose of {", ".join(sets) or "none"}'
        )
    read = {part: _not_empty(sets[part](), part, where) for part in wanted}
    return {name: reduce(_join, [read[part] for part in names]) for name, names in parts.items()}


def _join(first: Pairs, second: Pairs) -> Pairs:
    return Pairs(first.source + second.source, first.target + second.target)


def _not_empty(pairs: Pairs, name: str, where: str) -> Pairs:
    if not len(pairs):
        raise UserError(f'the set "{name}" of {where} is empty; give one with sentences')
    return pairs
