"""English: do-support, agreement, the s-genitive, a and an."""

from attnreplace.data.grammar.abstract import (
    THIRD_PLURAL,
    THIRD_SINGULAR,
    Both,
    Clause,
    Common,
    Name,
    Phrase,
    Place,
    Pronoun,
    Quality,
    Relative,
    Sentence,
    person,
)
from attnreplace.data.grammar.lexicon import (
    CAN,
    COORDINATORS,
    FUTURE,
    LINKS,
    MUST,
    PAST,
    PERSON,
    PRESENT,
    WANT,
)
from attnreplace.data.grammar.lexicon_adjectives import ADJECTIVES
from attnreplace.data.grammar.lexicon_nouns import NOUNS
from attnreplace.data.grammar.lexicon_verbs import VERBS

OBJECT_FORMS = {"I": "me", "he": "him", "we": "us", "they": "them"}
MODALS = {FUTURE: "will", CAN: "can", MUST: "must"}
BE_PRESENT = ("am", "is", "are", "are")
BE_PAST = ("was", "was", "were", "were")


def linearise(sentence: Sentence) -> str:
    """The English sentence."""
    words = _main(sentence.main, sentence.question)
    if sentence.second is not None:
        second = _clause(sentence.second)
        if sentence.link in COORDINATORS:
            words += [",", sentence.link, *second]
        elif sentence.second_first:
            words = [LINKS[str(sentence.link)].english, *second, ",", *words]
        else:
            words += [LINKS[str(sentence.link)].english, *second]
    return _spell(words, "." if sentence.question is None else "?")


def _spell(words: list[str], end: str) -> str:
    """Choose between "a" and "an", join."""
    for i in range(len(words) - 1):
        if words[i] == "a" and words[i + 1][0] in "aeiou":
            words[i] = "an"
    text = " ".join(words).replace(" ,", ",")
    return text[0].upper() + text[1:] + end


def _phrase(phrase: Phrase, object_case: bool = False) -> list[str]:
    if isinstance(phrase, Name):
        return [phrase.name]
    if isinstance(phrase, Pronoun):
        return [OBJECT_FORMS[phrase.word] if object_case else phrase.word]
    if isinstance(phrase, Both):
        return [*_phrase(phrase.first), "and", *_phrase(phrase.second)]
    words: list[str] = []
    if phrase.owner is not None:
        words += _phrase(phrase.owner)
        regular_plural = person(phrase.owner) == THIRD_PLURAL and words[-1].endswith("s")
        words[-1] += "'" if regular_plural else "'s"
    elif phrase.determiner == "this":
        words.append("these" if phrase.plural else "this")
    elif phrase.determiner != "a" or not phrase.plural:
        words.append(phrase.determiner)
    if phrase.numeral is not None:
        words.append(phrase.numeral)
    words += phrase.adjectives
    words.append(NOUNS[phrase.noun].english[phrase.plural])
    if phrase.origin is not None:
        words += ["from", phrase.origin]
    if phrase.bearing is not None:
        words += ["with", *_phrase(phrase.bearing)]
    if phrase.relative is not None:
        words += _relative(phrase, phrase.relative)
    return words


def _relative(head: Common, relative: Relative) -> list[str]:
    human = NOUNS[head.noun].category == PERSON
    clause = relative.clause
    if relative.role == "subject":
        return ["who" if human else "that", *_clause(clause, person(head))]
    if relative.role == "place":
        return ["in which", *_clause(clause)]
    if relative.role == "recipient":
        return ["to whom", *_clause(clause)]
    return ["whom" if human else "that", *_clause(clause)]


def _place(place: Place) -> list[str]:
    if place.phrase is None:
        return [place.preposition, str(place.city)]
    return [place.preposition, *_phrase(place.phrase)]


def _quality(quality: Quality) -> list[str]:
    word = ADJECTIVES[quality.adjective]
    if quality.than is None:
        return [word.english]
    return [word.english_comparative, "than", *_phrase(quality.than)]


def _inflected(base: str, who: int) -> str:
    """The present tense form of a verb or of a verb and its particle."""
    if who != THIRD_SINGULAR:
        return base
    if base == "have":
        return "has"
    stem, space, particle = base.partition(" ")
    if stem.endswith("y") and stem[-2] not in "aeiou":
        stem = stem[:-1] + "ies"
    else:
        stem += "es" if stem.endswith(("o", "s", "sh", "ch")) else "s"
    return stem + space + particle


def _verb(clause: Clause, who: int, inverted: bool) -> tuple[list[str], list[str]]:
    """The auxiliary, which a question puts in front of the subject, and the rest."""
    verb, mode = VERBS[clause.verb], clause.mode
    denial = ["not"] if clause.negated else []
    if mode in MODALS:
        if mode == CAN and clause.negated and not inverted:
            return ["cannot"], [verb.english]
        return [MODALS[mode]], [*denial, verb.english]
    if verb.english == "be":
        return [(BE_PRESENT if mode == PRESENT else BE_PAST)[who]], denial
    tail: list[str] = []
    base, past = verb.english, verb.english_past
    if mode == WANT:
        base, tail = "want", ["to", verb.english]
    if clause.negated or inverted:
        do = "did" if mode == PAST else _inflected("do", who)
        return [do], [*denial, base, *tail]
    return [], [past if mode == PAST else _inflected(base, who), *tail]


def _clause(clause: Clause, antecedent: int = THIRD_SINGULAR) -> list[str]:
    """A clause in statement order; `antecedent` agrees with the verb where no subject stands."""
    subject = [] if clause.subject is None else _phrase(clause.subject)
    who = antecedent if clause.subject is None else person(clause.subject)
    auxiliary, rest = _verb(clause, who, inverted=False)
    front, end = _time(clause)
    return [*front, *subject, *auxiliary, *rest, *_after(clause), *end]


def _main(clause: Clause, question: str | None) -> list[str]:
    if question is None:
        return _clause(clause)
    if question == "who":
        return ["who", *_clause(clause)]
    assert clause.subject is not None
    auxiliary, rest = _verb(clause, person(clause.subject), inverted=True)
    opening = [] if question == "whether" else [question]
    end = _time(clause)[1]
    return [*opening, *auxiliary, *_phrase(clause.subject), *rest, *_after(clause), *end]


def _time(clause: Clause) -> tuple[list[str], list[str]]:
    """The time in front and the time at the end: one of them or none."""
    if clause.time is None:
        return [], []
    return ([clause.time], []) if clause.time_first else ([], [clause.time])


def _after(clause: Clause) -> list[str]:
    """What follows the verb, but for the time."""
    words: list[str] = []
    if clause.object is not None:
        words += _phrase(clause.object, object_case=True)
    if clause.recipient is not None:
        words += ["to", *_phrase(clause.recipient, object_case=True)]
    if clause.quality is not None:
        words += _quality(clause.quality)
    if clause.place is not None:
        words += _place(clause.place)
    if clause.complement is not None:
        link = "whether" if VERBS[clause.verb].frame == "whether" else "that"
        words += [link, *_clause(clause.complement)]
    return words
