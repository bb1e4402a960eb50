"""The random draw: its limits hold in every sentence."""

import random
from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from typing import Any

import pytest

from attnreplace.data.grammar import german
from attnreplace.data.grammar.abstract import (
    Both,
    Clause,
    Common,
    Name,
    Phrase,
    Pronoun,
    Relative,
    Sentence,
    depth,
)
from attnreplace.data.grammar.draw import Draw, Weighted
from attnreplace.data.grammar.lexicon import LINKS, MODES
from attnreplace.data.grammar.lexicon_nouns import NOUNS
from attnreplace.data.grammar.lexicon_verbs import VERBS


def inside(node: Any) -> Iterator[Any]:
    """A node of a tree and all below it."""
    if is_dataclass(node):
        yield node
        for field in fields(node):
            yield from inside(getattr(node, field.name))


@pytest.fixture(scope="module")
def sentences() -> list[Sentence]:
    draw = Draw(random.Random(2), levels=3, nesting=1.5)
    return [draw.sentence() for _ in range(4_000)]


@pytest.fixture(scope="module")
def clauses(sentences: list[Sentence]) -> list[Clause]:
    return [node for tree in sentences for node in inside(tree) if isinstance(node, Clause)]


@pytest.mark.parametrize("levels", [1, 2, 4])
def test_levels_bound_the_depth(levels: int) -> None:
    draw = Draw(random.Random(0), levels, nesting=3.0)
    assert max(depth(draw.sentence()) for _ in range(500)) == levels


def test_everything_in_the_lexicon_is_drawn(
    sentences: list[Sentence], clauses: list[Clause]
) -> None:
    phrases = [node for tree in sentences for node in inside(tree) if isinstance(node, Common)]
    assert {clause.verb for clause in clauses} == set(VERBS)
    assert {clause.mode for clause in clauses} == set(MODES)
    assert {phrase.noun for phrase in phrases} == set(NOUNS)
    assert {tree.link for tree in sentences} == {None, "and", "but", *LINKS}
    assert len({tree.question for tree in sentences}) == 8


def test_nothing_follows_a_final_relative_clause(clauses: list[Clause]) -> None:
    for clause in clauses:
        time = None if clause.time_first else clause.time
        place = clause.place.phrase if clause.place else None
        rest = [clause.object, clause.recipient, place]
        relative = [isinstance(phrase, Common) and phrase.relative is not None for phrase in rest]
        for phrase, found in zip(rest, relative, strict=True):
            if found:
                after = rest[rest.index(phrase) + 1 :]
                assert time is None and not any(after)


def test_time_goes_in_front_of_a_clause_object(clauses: list[Clause]) -> None:
    assert all(c.time is None or c.time_first for c in clauses if c.complement)


def test_no_one_does_anything_to_themselves(clauses: list[Clause]) -> None:
    def names(phrase: Phrase | None) -> set[str]:
        if isinstance(phrase, Both):
            return names(phrase.first) | names(phrase.second)
        if isinstance(phrase, Common):
            return {phrase.noun}
        return {phrase.name} if isinstance(phrase, Name) else set()

    for clause in clauses:
        assert not names(clause.subject) & (names(clause.object) | names(clause.recipient))
        if isinstance(clause.subject, Pronoun) and clause.subject.word in ("I", "we"):
            assert clause.object not in (Pronoun("I"), Pronoun("we"))


def test_pronouns_with_two_translations_are_not_objects(clauses: list[Clause]) -> None:
    assert Pronoun("she") not in [clause.object for clause in clauses]
    assert not {Pronoun("she"), Pronoun("he")} & {clause.recipient for clause in clauses}


def test_german_tells_object_relatives_from_subject_relatives(sentences: list[Sentence]) -> None:
    checked = 0
    for head in (node for tree in sentences for node in inside(tree) if isinstance(node, Common)):
        if head.relative is None or head.relative.role != "object":
            continue
        clause = head.relative.clause
        # "she" as an object would look like "they".
        other = Pronoun("they") if clause.subject == Pronoun("she") else clause.subject
        turned = Relative("subject", replace(clause, subject=None, object=other, negated=False))
        said = replace(head, relative=Relative("object", replace(clause, negated=False)))
        texts = {
            german.linearise(Sentence(Clause("sleep", "present", subject=phrase)))
            for phrase in (said, replace(head, relative=turned))
        }
        assert len(texts) == 2, texts
        checked += 1
    assert checked > 100


def test_weights() -> None:
    rng = random.Random(0)
    table = Weighted({"often": 3, "seldom": 1, "never": 0})
    drawn = [table.pick(rng) for _ in range(4_000)]
    assert 0.72 < drawn.count("often") / len(drawn) < 0.78
    assert "never" not in drawn
