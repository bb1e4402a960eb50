"""How much text there is: pairs and tokens of a corpus, known, counted or assumed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from attnreplace.activations.inputs import read_corpus
from attnreplace.activations.store import ActivationStore
from attnreplace.config import RunConfig
from attnreplace.data.batching import encode
from attnreplace.data.parallel import load_parallel
from attnreplace.data.tokenizer import train_tokenizer
from attnreplace.errors import UserError
from attnreplace.planning.teachers import of_translation
from attnreplace.rundir import RunDir
from attnreplace.teacher.load import load_teacher


@dataclass(frozen=True)
class SplitCounts:
    """Pairs of a split that are short enough, and their tokens, `</s>` included.

    Of tasks other than translation texts, blocks or images, with tokens of the source alone.
    """

    pairs: int
    source: int
    target: int
    longer: int
    """Sum over the pairs of the tokens of the longer side, by which batches are cut."""

    def of(self, axis: str) -> int:
        """Tokens of an axis."""
        return self.source if axis == "source" else self.target


@dataclass(frozen=True)
class CorpusCounts:
    """A corpus as far as a plan needs it."""

    name: str
    train: SplitCounts
    validation: SplitCounts
    origin: str
    """Where the figures are from."""
    longest: int | None = None
    """Most tokens that are kept, where it is not as the configuration says."""

    @property
    def splits(self) -> tuple[SplitCounts, SplitCounts]:
        """What is extracted."""
        return self.train, self.validation


@dataclass(frozen=True)
class CorpusFacts:
    """A well-known corpus. Pairs are facts; the other figures are means, measured or assumed."""

    pairs: Mapping[str, tuple[int, int]]
    """Training and validation pairs by language pair."""
    kept: float
    """Share of the pairs with at most 50 tokens on both sides."""
    source: float
    """Mean tokens of the source of those."""
    target: float
    longer: float
    """Mean tokens of the longer side."""
    origin: str

    def counts(self, name: str, pair: str, max_train: int | None = None) -> CorpusCounts:
        """Figures for a language pair; the direction is of no account.

        Raises:
            UserError: the corpus does not have that pair.
        """
        swapped = "-".join(reversed(pair.split("-")))
        found = self.pairs.get(pair) or self.pairs.get(swapped)
        if found is None:
            raise UserError(f"no figures for {name} {pair}; there are: {', '.join(self.pairs)}")
        train = found[0] if max_train is None else min(found[0], max_train)
        train_counts, validation = (self._split(round(n * self.kept)) for n in (train, found[1]))
        return CorpusCounts(f"{name} {pair}", train_counts, validation, self.origin)

    def _split(self, pairs: int) -> SplitCounts:
        means = (self.source, self.target, self.longer)
        return SplitCounts(pairs, *(round(pairs * mean) for mean in means))


CORPORA = {
    "multi30k": CorpusFacts(
        pairs={"de-en": (29_000, 1_014)},
        kept=0.999,
        source=17.6,
        target=16.6,
        longer=18.3,
        origin="pairs: the corpus; means: counted, joint BPE of 4,000 pieces",
    ),
    "iwslt2017": CorpusFacts(
        pairs={"de-en": (206_112, 888), "en-fr": (232_825, 890)},
        kept=0.889,
        source=22.4,
        target=21.4,
        longer=23.3,
        origin="pairs: as commonly cited; means: counted on the official dev2010 "
        "and tst2010 to tst2014 of de-en, joint BPE of 8,000 pieces; en-fr assumed alike",
    ),
    "wmt14": CorpusFacts(
        pairs={"de-en": (4_508_785, 3_000), "fr-en": (40_836_715, 3_000)},
        kept=0.85,
        source=25.0,
        target=25.0,
        longer=27.0,
        origin="pairs: as commonly cited; means: assumed, from Europarl with a joint "
        "BPE of 16,000 pieces",
    ),
}
"""Figures hold for at most 50 tokens a side; other vocabularies and limits give other means."""


def preset_counts(name: str, pair: str, max_train: int | None = None) -> CorpusCounts:
    """The figures of a well-known corpus.

    Raises:
        UserError: none of that name, or it lacks the language pair.
    """
    if name not in CORPORA:
        raise UserError(f"no figures for a corpus {name!r}; valid: {', '.join(CORPORA)}")
    return CORPORA[name].counts(name, pair, max_train)


def config_counts(config: RunConfig) -> CorpusCounts:
    """The corpus of a configuration: counted where it is at hand, else the well-known figures.

    Counting trains the tokenizer as `attnreplace train` does, so the figures are those of the run.

    Raises:
        UserError: the corpus is neither at hand nor well known.
    """
    data = config.data
    if data.task != "translation":
        raise UserError(
            f"a plan for the task {data.task} goes by the teacher's own reading; run `attnreplace "
            "train` first, or put a teacher into the run, and plan with --run"
        )
    teacher, _ = of_translation(config)
    limits = [n for n in (data.train_size, config.extract.max_train) if n is not None]
    if data.data_dir is None and not data.embedded:
        return preset_counts(data.known_as, data.pair, min(limits, default=None))
    corpus = load_parallel(data)
    tokenizer = train_tokenizer(corpus.train.source + corpus.train.target, teacher.vocab_size)
    counts = []
    for pairs in (corpus.train.head(config.extract.max_train), corpus.validation):
        sides = [list(map(len, encode(tokenizer, text))) for text in (pairs.source, pairs.target)]
        counts.append(_split_counts(sides, config.extract.max_length or teacher.max_length))
    return CorpusCounts(_name(config), counts[0], counts[1], "the corpus, tokenised")


def run_counts(run: RunDir) -> CorpusCounts:
    """The corpus of a run: as in its store, else tokenised as its teacher does, else as planned.

    Raises:
        UserError: the corpus is neither at hand nor well known.
    """
    config = run.config()
    if run.activations.is_file():
        return store_counts(ActivationStore.open(run.activations), _name(config))
    if (run.teacher / "config.json").is_file():
        teacher = load_teacher(run.teacher)
        longest = config.extract.max_length or teacher.max_length
        inputs = read_corpus(teacher, run.corpus(), longest, config.extract.max_train)
        train, validation = (
            _split_counts([*inputs.lengths[split].values()], longest)
            for split in ("train", "validation")
        )
        origin = f"the corpus, as {run.teacher} reads it"
        return CorpusCounts(_name(config), train, validation, origin, longest)
    return config_counts(config)


def store_counts(store: ActivationStore, name: str) -> CorpusCounts:
    """What is in a store."""
    train, validation = (
        _split_counts([store.lengths(split, axis).tolist() for axis in store.axes])
        for split in ("train", "validation")
    )
    origin = f"the store {store.path}"
    return CorpusCounts(name, train, validation, origin, store.identity.max_length)


def _name(config: RunConfig) -> str:
    """The corpus, and of translation its languages."""
    data = config.data
    return f"{data.known_as} {data.pair}" if data.task == "translation" else data.known_as


def _split_counts(sides: Sequence[Sequence[int]], max_length: int | None = None) -> SplitCounts:
    """What a split has.

    Args:
        sides: tokens of every line, by axis: of the source, and of the target where there is one.
        max_length: lines with a longer side are left out.
    """
    lengths = np.array(sides, dtype=np.int64)
    longer = lengths.max(axis=0)
    if max_length is not None:
        lengths, longer = lengths[:, longer <= max_length], longer[longer <= max_length]
    tokens = [*lengths.sum(axis=1).tolist(), 0]
    return SplitCounts(len(longer), tokens[0], tokens[1], int(longer.sum()))
