"""The embedded corpus as data: sizes, splits, determinism, and what good spelling rules out."""

import random
import re
from itertools import chain

import pytest

from attnreplace.data.corpus import Corpus, Pairs
from attnreplace.data.grammar import PAIRS, grammar_corpus
from attnreplace.data.grammar.corpus import LINEARISERS
from attnreplace.data.grammar.draw import Draw
from attnreplace.data.grammar.lexicon_nouns import NOUNS
from attnreplace.errors import UserError

SMALL = {"train": 300, "validation": 40, "test": 60}


def splits(corpus: Corpus) -> dict[str, Pairs]:
    return {"train": corpus.train, "validation": corpus.validation, **corpus.tests}


@pytest.fixture(scope="module")
def large() -> Corpus:
    return grammar_corpus("fr-en", train=50_000, validation=500, test=500)


@pytest.fixture(scope="module")
def german() -> list[str]:
    return grammar_corpus("de-en", train=6_000, validation=0, test=500, seed=3).train.source


def test_sizes_and_names() -> None:
    corpus = grammar_corpus("en-de", **SMALL)
    assert (corpus.name, corpus.pair) == ("grammar", "en-de")
    assert {name: len(pairs) for name, pairs in splits(corpus).items()} == {
        "train": 300,
        "validation": 40,
        "test": 60,
        "test_nested": 60,
    }


def test_every_pair_says_the_same() -> None:
    corpora = {pair: grammar_corpus(pair, **SMALL) for pair in PAIRS}
    assert set(PAIRS) >= {"de-en", "en-de", "en-fr", "fr-en"}
    for name in splits(corpora["de-en"]):
        texts: dict[str, list[str]] = {}
        for pair, corpus in corpora.items():
            pairs = splits(corpus)[name]
            source, target = pair.split("-")
            assert texts.setdefault(source, pairs.source) == pairs.source
            assert texts.setdefault(target, pairs.target) == pairs.target


def test_fifty_thousand_distinct_pairs_in_disjoint_splits(large: Corpus) -> None:
    for side in ("source", "target"):
        sentences = list(chain.from_iterable(getattr(p, side) for p in splits(large).values()))
        assert len(sentences) == 51_500
        assert len(set(sentences)) == len(sentences)


def test_one_source_has_one_target() -> None:
    """Of sentences as drawn: the corpus itself drops what has been seen in any language."""
    draw = Draw(random.Random(1), levels=2)
    drawn = [draw.sentence() for _ in range(4_000)]
    triples = {
        tuple(linearise(sentence) for linearise in LINEARISERS.values()) for sentence in drawn
    }
    for language in range(3):
        assert len({triple[language] for triple in triples}) == len(triples)


def test_word_counts(large: Corpus) -> None:
    for name, pairs in splits(large).items():
        counts = [len(text.split()) for text in pairs.source + pairs.target]
        assert min(counts) >= 3
        assert max(counts) <= (36 if name == "test_nested" else 30)
    nested, test = large.tests["test_nested"], large.tests["test"]
    assert sum(map(len, nested.source)) > 1.8 * sum(map(len, test.source))


@pytest.mark.parametrize(
    ("pair", "digest"), [("de-en", "a076b45175abad17"), ("fr-de", "15eaad65bf672d74")]
)
def test_digest_is_the_same_everywhere(pair: str, digest: str) -> None:
    """Also from one process to the next, though string hashes and so sets differ.

    Every change to the grammar changes the digest: it is then to be renewed here.
    """
    corpus = grammar_corpus(pair, train=1_000, validation=20, test=60, seed=7)
    assert corpus.digest[:16] == digest


def test_seeds_differ() -> None:
    first, second = (grammar_corpus("de-en", **SMALL, seed=seed) for seed in (0, 1))
    assert len(set(first.train.source) & set(second.train.source)) < 30


def test_held_out_sets_do_not_depend_on_what_is_drawn_after_them() -> None:
    small = grammar_corpus("de-en", train=10, validation=40, test=60)
    more_training = grammar_corpus("de-en", train=500, validation=40, test=60)
    more_validation = grammar_corpus("de-en", train=10, validation=80, test=60)
    assert small.tests == more_training.tests == more_validation.tests
    assert small.validation == more_training.validation == more_validation.validation.head(40)
    assert small.train == more_training.train.head(10)


def test_sizes_of_zero() -> None:
    corpus = grammar_corpus("de-en", train=0, validation=0, test=0)
    assert all(len(pairs) == 0 for pairs in splits(corpus).values())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"pair": "de-es"}, "'de-es'.*de-en.*fr-de"),
        ({"pair": "de-de"}, "'de-de'"),
        ({"train": -1}, "zero or more"),
        ({"train": 2_000_000}, "at most 1000000 pairs.*2001500"),
    ],
)
def test_bad_arguments(arguments: dict, message: str) -> None:
    with pytest.raises(UserError, match=message) as error:
        grammar_corpus(**arguments)
    assert "\n" not in str(error.value)


def absent(pattern: str, sentences: list[str]) -> None:
    found = [text for text in sentences if re.search(pattern, text)]
    assert not found, found[:3]


VOWEL = "[AEIOUaeiouhàâéèêîôœ]"


@pytest.mark.parametrize(
    "pattern",
    [
        rf"\b([Ll]e|[Ll]a|de|ne|[Jj]e|me|se|que) {VOWEL}",
        r"\bde les?\b|\bà les?\b",
        r"\b[Ss]i ils?\b",
        r"\b(ce|ma|sa) (hôtel|école|église|homme|enfant|ami|étudiant|actrice|oiseau|image)\b",
        r"\b(vieux|beau|nouveau) (homme|hôtel|étudiant|enfant|éléphant)\b",
        rf"\b(du|au) {VOWEL}",
        r"^Des (vieux|vieilles|petits|petites|grands|grandes|beaux|belles) ",
        r"\bde (des|de|un|une) ",
        r"\bpas (un|une|des) ",
        r"' |'$|'[.?,]",
        r" ,|,,|  ",
        r"^(La (femme|reine|mère)|Elle) (est|sera|était) (vieux|heureux|petit|beau|grand)\b",
        r"^(La (femme|reine|mère)|Elle) est (allé|venu|resté|arrivé)\b",
        r"^(Le (roi|père|garçon)|Il) est (allée|venue|restée|arrivée)",
        r"^(Ils|Les \w+s) (est|a|sera|était|va|vient|dort|voit)\b",
        r"^(Nous|Je|Ils|Elle) (ne |n')?(?!(ne|nous|me|m'|se|s')\b)\w+ pas (\w+ )?pas\b",
    ],
)
def test_french_spelling(large: Corpus, pattern: str) -> None:
    absent(pattern, large.train.source)


@pytest.mark.parametrize(
    "pattern",
    [
        r"\b[Aa] [aeiou]",
        r"\b[Aa]n [^aeiou]",
        r"^(He|She|Anna|Paul) (sleep|have|go|give|want|do)\b",
        r"^(They|We|I) (sleeps|has|goes|gives|wants|does)\b",
        r"\b(does|did|do|will|can|must|cannot) not (slept|went|gave|bought|sleeps|goes|has)\b",
        r"\b(two|three|four|five|ten|many|these) (\w+ )?(man|woman|child|dog|house)\b",
        r"\b([Aa]|every|this) (men|women|children)\b",
        r"childs|mans\b|librarys|(?<!actress)(?<=s)'s",
        r" ,|,,|  ",
    ],
)
def test_english_spelling(large: Corpus, pattern: str) -> None:
    absent(pattern, large.train.target)


@pytest.mark.parametrize(
    "pattern",
    [
        r"[^,] (in|zu) dem (\w+ ){0,2}[A-ZÄÖÜ]\w+[.?]",
        r"\b[Ee]in (Frau|Katze|Kuh|Uhr|Tasche)\b",
        r"\b[Ee]ine (Mann|Kind|Hund|Buch|Auto)\b",
        r"\bden (Junge|Student|Nachbar|Elefant|Frau|Kind)\b",
        r"\bdem (Frau|Kuh|Königin)\b",
        r"\bnicht (ein|eine|einen) (\w+ )?(Buch|Tasche|Brief|Schlüssel|Hut)\b",
        r"[^,] (dass|ob|weil|wenn|falls|während|als er) ",
        r" ,|,,|,[.?]|  ",
        r"\b(auf|zu|ein|an|zurück)(hat|haben|ist|sind)\b",
    ],
)
def test_german_spelling(german: list[str], pattern: str) -> None:
    absent(pattern, german)


def test_german_nouns_are_capitalised(german: list[str]) -> None:
    nouns = {form.lower() for noun in NOUNS.values() for form in noun.german}
    words = {word.strip(".,?") for text in german for word in text.split()}
    assert words & nouns <= {"junge", "jungen"}, "which are adjectives as well"


def test_german_subordinate_verbs_come_last(german: list[str]) -> None:
    clause = re.compile(r", (?:weil|dass|ob|falls) ([^,.?]*)[,.?]")
    last = {match.group(1).split()[-1] for text in german for match in clause.finditer(text)}
    assert {"hat", "ist", "wird", "will", "aufsteht"} <= last
    assert all(word[0].islower() and word != "nicht" for word in last)


def test_ends_and_beginnings(large: Corpus, german: list[str]) -> None:
    for text in chain(large.train.source, large.train.target, german):
        assert text[0].isupper()
        assert text[-1] in ".?"
    questions = [text for text in large.train.source if text.endswith("?")]
    assert len(questions) > 5_000
    assert all(text.endswith(" ?") for text in questions)
