"""The embedded corpus: parallel sentences from one small grammar in three languages."""

import random
from collections.abc import Iterator

from attnreplace.data.corpus import Corpus, Pairs
from attnreplace.data.grammar import english, french, german
from attnreplace.data.grammar.abstract import depth
from attnreplace.data.grammar.draw import Draw
from attnreplace.errors import UserError

LINEARISERS = {"de": german.linearise, "en": english.linearise, "fr": french.linearise}
PAIRS = tuple(f"{a}-{b}" for a in LINEARISERS for b in LINEARISERS if a != b)
MIN_WORDS, MAX_WORDS, MAX_WORDS_NESTED = 3, 30, 36
"""36 words and their commas stay within 50 tokens of a vocabulary of 2,000, </s> included."""
LEVELS, LEVELS_NESTED = 2, 4
"""How many clauses may lie inside one another: at most in training, at most in `test_nested`."""
MAX_PAIRS = 1_000_000
"""More than that in one corpus is refused: it would take minutes and gigabytes."""

Triple = tuple[str, ...]
"""One sentence in the order of `LINEARISERS`."""


def grammar_corpus(
    pair: str = "de-en",
    train: int = 20_000,
    validation: int = 500,
    test: int = 500,
    seed: int = 0,
) -> Corpus:
    """Draws a corpus: the same for the same arguments on every machine.

    The abstract sentences depend on the seed alone, so that all pairs say the same. The test sets
    are drawn before the validation set, and that before the training set: they do not change with
    the size of the sets after them. No sentence occurs twice, in either language, in any split.

    Args:
        pair: source and target language, one of `PAIRS`.
        train: number of training pairs.
        validation: number of validation pairs.
        test: number of pairs in each test set: "test", of the kind trained on, and "test_nested",
            with clauses nested deeper than any in training.
        seed: any integer.

    Raises:
        UserError: the pair is unknown, or a size is negative or too large.
    """
    if pair not in PAIRS:
        raise UserError(f"the grammar has no pair {pair!r}; choose one of {', '.join(PAIRS)}")
    if min(train, validation, test) < 0:
        raise UserError("the sizes of the grammar corpus must be zero or more")
    if train + validation + 2 * test > MAX_PAIRS:
        raise UserError(
            f"the grammar corpus gives at most {MAX_PAIRS} pairs in all its splits, and "
            f"{train + validation + 2 * test} were asked for; ask for fewer"
        )
    source, target = (list(LINEARISERS).index(language) for language in pair.split("-"))
    seen: set[str] = set()
    nested = _distinct(_nested(seed), seen)
    plain = _distinct(_plain(seed), seen)

    def take(sentences: Iterator[Triple], count: int) -> Pairs:
        triples = [next(sentences) for _ in range(count)]
        return Pairs([t[source] for t in triples], [t[target] for t in triples])

    tests = {"test": take(plain, test), "test_nested": take(nested, test)}
    held_out = take(plain, validation)
    return Corpus("grammar", pair, take(plain, train), held_out, tests)


def _plain(seed: int) -> Iterator[Triple]:
    draw = Draw(random.Random(f"grammar {seed}"), LEVELS)
    while True:
        sentence = draw.sentence()
        triple = tuple(linearise(sentence) for linearise in LINEARISERS.values())
        if _fits(triple, MAX_WORDS):
            yield triple


def _nested(seed: int) -> Iterator[Triple]:
    draw = Draw(random.Random(f"grammar nested {seed}"), LEVELS_NESTED, nesting=2.5)
    while True:
        sentence = draw.sentence()
        if depth(sentence) > LEVELS:
            triple = tuple(linearise(sentence) for linearise in LINEARISERS.values())
            if _fits(triple, MAX_WORDS_NESTED):
                yield triple


def _fits(triple: Triple, most: int) -> bool:
    """Whether every language has an allowed number of words."""
    return all(MIN_WORDS <= text.count(" ") + 1 <= most for text in triple)


def _distinct(triples: Iterator[Triple], seen: set[str]) -> Iterator[Triple]:
    """Drops a triple of which any language has been seen, so that splits are disjoint in all."""
    for triple in triples:
        if seen.isdisjoint(triple):
            seen.update(triple)
            yield triple
