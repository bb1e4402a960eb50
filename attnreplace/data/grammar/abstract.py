"""The abstract sentence: who does what to whom, when, where and why, in no language yet.

Every string here is a key of the lexicon. A part that stands outside its clause, as the relative
pronoun and the question word do, is missing from the clause: its field is None.
"""

from dataclasses import dataclass

from attnreplace.data.grammar.lexicon import COORDINATORS

PERSONS = {"I": 0, "he": 1, "she": 1, "we": 2, "they": 3}
THIRD_SINGULAR, THIRD_PLURAL = 1, 3
"""Indices into the four finite forms of a verb."""


@dataclass(frozen=True, slots=True)
class Name:
    """A person by name."""

    name: str


@dataclass(frozen=True, slots=True)
class Pronoun:
    """One of `PERSONS`.

    "you" and "it" have several translations. So have the objects "her", which German writes as
    "them", and, as a recipient, "him", which French writes as "her": none of these is drawn.
    """

    word: str


@dataclass(frozen=True, slots=True)
class Relative:
    """A relative clause, and the role of its antecedent: subject, object, recipient or place."""

    role: str
    clause: "Clause"


@dataclass(frozen=True, slots=True)
class Common:
    """A noun with all that belongs to it."""

    noun: str
    plural: bool
    determiner: str
    """"the", "a", "this", "my", "our", "his", "their", "every" or "many"."""
    numeral: str | None = None
    adjectives: tuple[str, ...] = ()
    owner: "Phrase | None" = None
    origin: str | None = None
    """The city a person is from."""
    bearing: "Common | None" = None
    """What a person has with them."""
    relative: Relative | None = None


@dataclass(frozen=True, slots=True)
class Both:
    """Two noun phrases joined by "and"."""

    first: "Name | Common"
    second: "Name | Common"


Phrase = Name | Pronoun | Common | Both


@dataclass(frozen=True, slots=True)
class Place:
    """A preposition with a noun phrase, or with a city: in it, or (`preposition` "to") to it."""

    preposition: str
    phrase: Common | None
    city: str | None = None


@dataclass(frozen=True, slots=True)
class Quality:
    """A predicate adjective, or its comparative with what is compared to."""

    adjective: str
    than: Phrase | None = None


@dataclass(frozen=True, slots=True)
class Clause:
    """One verb and its complements."""

    verb: str
    mode: str
    """Tense or modal, one of `lexicon.MODES`."""
    negated: bool = False
    subject: Phrase | None = None
    object: Phrase | None = None
    recipient: Phrase | None = None
    place: Place | None = None
    quality: Quality | None = None
    complement: "Clause | None" = None
    """What is said or asked: the verb decides between "that" and "whether"."""
    time: str | None = None
    time_first: bool = False


@dataclass(frozen=True, slots=True)
class Sentence:
    """A main clause, perhaps a question, perhaps with a second clause linked to it."""

    main: Clause
    question: str | None = None
    """"whether", "who", "whom", "what", "where", "when" or "why"; None for a statement."""
    link: str | None = None
    """The conjunction of the second clause, a key of `lexicon.LINKS` or `COORDINATORS`."""
    second: Clause | None = None
    second_first: bool = False
    """Whether the subordinate clause stands in front."""


def person(phrase: Phrase) -> int:
    """Index of the finite verb form that agrees with a subject."""
    if isinstance(phrase, Pronoun):
        return PERSONS[phrase.word]
    if isinstance(phrase, Both) or (isinstance(phrase, Common) and phrase.plural):
        return THIRD_PLURAL
    return THIRD_SINGULAR


def _phrase_depth(phrase: Phrase | None) -> int:
    """How many clauses lie inside one another in a noun phrase."""
    if isinstance(phrase, Common):
        inside = max(_phrase_depth(phrase.owner), _phrase_depth(phrase.bearing))
        if phrase.relative is not None:
            return max(inside, clause_depth(phrase.relative.clause))
        return inside
    if isinstance(phrase, Both):
        return max(_phrase_depth(phrase.first), _phrase_depth(phrase.second))
    return 0


def clause_depth(clause: Clause | None) -> int:
    """How many clauses lie inside one another, this one included."""
    if clause is None:
        return 0
    phrases = [clause.subject, clause.object, clause.recipient]
    if clause.place is not None:
        phrases.append(clause.place.phrase)
    if clause.quality is not None:
        phrases.append(clause.quality.than)
    return 1 + max(clause_depth(clause.complement), *map(_phrase_depth, phrases))


def depth(sentence: Sentence) -> int:
    """How many clauses lie inside one another; a subordinate clause lies inside the main one."""
    second = clause_depth(sentence.second)
    below = sentence.second is not None and sentence.link not in COORDINATORS
    return max(clause_depth(sentence.main), second + below)
