"""The random draw of noun phrases.

Only `random()` of the generator is used: its sequence for a seed is the same in every version of
Python. The limits on what goes together keep one sentence in a language to one meaning.
"""

import random
from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import TypeVar

from attnreplace.data.grammar.abstract import (
    Both,
    Common,
    Name,
    Phrase,
    Place,
    Pronoun,
    Quality,
    Relative,
)
from attnreplace.data.grammar.lexicon import (
    ANIMAL,
    CITIES,
    FURNITURE,
    NAMES,
    NUMERALS,
    PERSON,
    PLACE,
    THING,
    Verb,
)
from attnreplace.data.grammar.lexicon_adjectives import (
    ADJECTIVES,
    AFTER_BY_CATEGORY,
    FIRST_BY_CATEGORY,
)
from attnreplace.data.grammar.lexicon_nouns import BY_CATEGORY, NOUNS
from attnreplace.data.grammar.lexicon_verbs import VERBS

T = TypeVar("T")


class Weighted:
    """A table of choices and their weights."""

    def __init__(self, weights: dict[str, float]) -> None:
        self.choices = list(weights)
        self.bounds = list(accumulate(weights.values()))

    def pick(self, rng: random.Random) -> str:
        """One choice at random."""
        point = rng.random() * self.bounds[-1]
        for choice, bound in zip(self.choices, self.bounds, strict=True):
            if point < bound:
                return choice
        return self.choices[-1]


DETERMINERS = Weighted(
    {"the": 50, "a": 22, "this": 8, "my": 4, "our": 4, "his": 4, "their": 3, "every": 3, "many": 2}
)
DEFINITE = Weighted({"the": 66, "this": 14, "my": 5, "our": 5, "his": 5, "their": 5})
"""What negation leaves alone."""
DENIED = Weighted({"the": 50, "a": 30, "this": 10, "my": 4, "our": 2, "his": 2, "their": 2})
"""Objects under negation: "a" becomes "kein" and "de"; "every" and "many" would be ambiguous."""
ARTICLES = Weighted({"the": 70, "a": 30})
RECIPIENTS = Weighted({"the": 55, "a": 20, "this": 9, "my": 4, "our": 4, "his": 4, "their": 4})
SITES = Weighted({"the": 66, "a": 14, "this": 10, "my": 3, "our": 3, "his": 2, "their": 2})
PRONOUNS = Weighted({"I": 25, "he": 22, "she": 22, "we": 14, "they": 17})
PREPOSITIONS = Weighted({"in": 60, "in front of": 14, "behind": 13, "next to": 13})
GOALS = tuple(key for key in BY_CATEGORY[PLACE] if key not in ("garden", "house", "kitchen"))
"""Where one goes "to": the others take another preposition in one language or two."""
BORNE = ("bag", "hat", "coat", "umbrella", "flower", "letter", "book", "dog", "newspaper")
"""What a person may be said to be with."""
CITY_KEYS, NAME_KEYS, NUMERAL_KEYS = tuple(CITIES), tuple(NAMES), tuple(NUMERALS)
OBJECTS = {verb.objects: tuple(sorted(verb.objects)) for verb in VERBS.values()}
"""Sorted: the order of a set of strings differs from one process to the next."""
PREDICATIVE: dict[str, tuple[str, ...]] = {
    category: tuple(
        key for key, word in ADJECTIVES.items() if word.predicative and category in word.categories
    )
    for category in BY_CATEGORY
}
OBJECT_PRONOUNS = {"I": ("he", "they"), "we": ("he", "they")}
"""Which object pronouns go with a subject pronoun: none that would be reflexive."""


class PhraseDraw:
    """Draws noun phrases and what is made of them.

    Args:
        rng: the source of randomness.
        nesting: scales how often a place that can hold a clause does.
    """

    def __init__(self, rng: random.Random, nesting: float) -> None:
        self.rng = rng
        self.nesting = nesting

    def pick(self, choices: Sequence[T]) -> T:
        """One of `choices`, all alike likely."""
        return choices[int(self.rng.random() * len(choices))]

    def chance(self, probability: float) -> bool:
        """True with a probability."""
        return self.rng.random() < probability

    def nests(self, levels: int, probability: float) -> bool:
        """Whether a clause goes here; `levels` counts the ones that may lie inside one another."""
        return levels > 1 and self.chance(min(0.9, probability * self.nesting))

    def unlike(self, other: Phrase | None, draw: Callable[[], Phrase]) -> Phrase:
        """Draws until the phrase is about someone or something else than `other`."""
        taken = _heads(other)
        while not taken.isdisjoint(_heads(phrase := draw())):
            pass
        return phrase

    def relative(self, head: Common, levels: int) -> Relative:
        """A relative clause for a noun phrase."""
        raise NotImplementedError

    def common(
        self, nouns: Sequence[str], levels: int, determiners: Weighted, *, bare: bool = False
    ) -> Common:
        """A phrase around one of `nouns`; `bare` phrases have adjectives at most."""
        noun = self.pick(nouns)
        category = NOUNS[noun].category
        determiner = determiners.pick(self.rng)
        plural = determiner == "many" or (determiner != "every" and self.chance(0.3))
        numeral, owner, origin, bearing = None, None, None, None
        if plural and determiner != "many" and determiners is not DENIED and self.chance(0.25):
            numeral = self.pick(NUMERAL_KEYS)
        adjectives = self.adjectives(category)
        if not bare:
            point = self.rng.random()
            if determiner == "the" and point < 0.16:
                owner = self.owner()
            elif category == PERSON and point < 0.2:
                origin = self.pick(CITY_KEYS)
            elif category == PERSON and point < 0.25:
                bearing = self.common(BORNE, 1, ARTICLES, bare=True)
            else:
                head = Common(noun, plural, determiner, numeral, adjectives)
                relative = self.relative(head, levels) if self.nests(levels, 0.34) else None
                return Common(noun, plural, determiner, numeral, adjectives, relative=relative)
        return Common(noun, plural, determiner, numeral, adjectives, owner, origin, bearing)

    def adjectives(self, category: str) -> tuple[str, ...]:
        """None, one or two adjectives, in their fixed order."""
        point = self.rng.random()
        if point < 0.46:
            return ()
        first = self.pick(FIRST_BY_CATEGORY[category])
        if point < 0.64:
            return (first,)
        after = self.pick(AFTER_BY_CATEGORY[category])
        return (after,) if point < 0.82 else (first, after)

    def owner(self) -> Phrase:
        """A person whom something belongs to."""
        if self.chance(0.5):
            return Name(self.pick(NAME_KEYS))
        return self.common(BY_CATEGORY[PERSON], 1, DEFINITE, bare=True)

    def both(self) -> Both:
        """Two people."""
        people: list[Name | Common] = []
        while len(people) < 2:
            person: Name | Common
            if self.chance(0.35):
                person = Name(self.pick(NAME_KEYS))
            else:
                person = self.common(BY_CATEGORY[PERSON], 1, DEFINITE, bare=True)
            if person not in people:
                people.append(person)
        return Both(people[0], people[1])

    def person(self, levels: int, determiners: Weighted) -> Phrase:
        """A person or people as a subject."""
        point = self.rng.random()
        if point < 0.25:
            return Pronoun(PRONOUNS.pick(self.rng))
        if point < 0.4:
            return Name(self.pick(NAME_KEYS))
        if point < 0.47:
            return self.both()
        return self.common(BY_CATEGORY[PERSON], levels, determiners)

    def subject(self, verb: Verb, levels: int, negated: bool) -> Phrase:
        """A subject that a verb may have."""
        determiners = DEFINITE if negated else DETERMINERS
        point = self.rng.random()
        if verb.frame == "copula" and point < 0.45:
            category = THING if point < 0.26 else PLACE
            return self.common(BY_CATEGORY[category], levels, determiners)
        if ANIMAL in verb.subjects and point > 0.8:
            return self.common(BY_CATEGORY[ANIMAL], levels, determiners)
        return self.person(levels, determiners)

    def target(self, verb: Verb, levels: int, negated: bool, subject: Phrase | None) -> Phrase:
        """A direct object that a verb may have."""
        determiners = DENIED if negated else DETERMINERS
        if verb.objects.issuperset(BY_CATEGORY[PERSON]):
            # French loves "les enfants", in general, where English loves "children".
            if verb.state or (verb.german_dative and negated):
                determiners = DEFINITE
            point = self.rng.random()
            if point < 0.2:
                word = subject.word if isinstance(subject, Pronoun) else ""
                return Pronoun(self.pick(OBJECT_PRONOUNS.get(word, ("I", "he", "we", "they"))))
            if point < 0.3:
                return Name(self.pick(NAME_KEYS))
            if point < 0.35:
                return self.both()
        return self.common(OBJECTS[verb.objects], levels, determiners)

    def recipient(self, levels: int, negated: bool, subject: Phrase | None) -> Phrase:
        """Whom something is given to; "him" and "her" are one word in French, and not drawn."""
        point = self.rng.random()
        if point < 0.25:
            first = isinstance(subject, Pronoun) and subject.word in OBJECT_PRONOUNS
            return Pronoun("they" if first else self.pick(("I", "we", "they")))
        if point < 0.4:
            return Name(self.pick(NAME_KEYS))
        return self.common(BY_CATEGORY[PERSON], levels, DEFINITE if negated else RECIPIENTS)

    def quality(self, category: str, subject: Phrase | None) -> Quality:
        """What something is like, or what it surpasses."""
        adjective = self.pick(PREDICATIVE[category])
        if not ADJECTIVES[adjective].english_comparative or not self.chance(0.3):
            return Quality(adjective)

        def than() -> Phrase:
            if category == PERSON and self.chance(0.3):
                return Name(self.pick(NAME_KEYS))
            return self.common(BY_CATEGORY[category], 1, DEFINITE, bare=True)

        return Quality(adjective, self.unlike(subject, than))

    def place(self, levels: int, *, on_furniture: bool = False) -> Place:
        """Where something is or happens."""
        if on_furniture and self.chance(0.6):
            preposition = "on" if self.chance(0.7) else "under"
            return Place(preposition, self.common(BY_CATEGORY[FURNITURE], 1, DEFINITE, bare=True))
        if self.chance(0.15):
            return Place("in", None, self.pick(CITY_KEYS))
        return Place(PREPOSITIONS.pick(self.rng), self.common(BY_CATEGORY[PLACE], levels, SITES))

    def goal(self, levels: int) -> Place:
        """Where someone goes."""
        if self.chance(0.25):
            return Place("to", None, self.pick(CITY_KEYS))
        return Place("to", self.common(GOALS, levels, SITES))


def _heads(phrase: Phrase | None) -> set[str]:
    """The nouns and names that a phrase is about."""
    if isinstance(phrase, Both):
        return _heads(phrase.first) | _heads(phrase.second)
    if isinstance(phrase, Common):
        return {phrase.noun}
    return {phrase.name} if isinstance(phrase, Name) else set()
