"""The random draw of clauses and sentences.

Two limits keep the attachment of every phrase unambiguous: nothing of a clause follows a relative
clause at its end, and a clause whose object is a clause has its time in front.
"""

import random
from collections.abc import Sequence

from attnreplace.data.grammar.abstract import (
    Both,
    Clause,
    Common,
    Name,
    Phrase,
    Pronoun,
    Relative,
    Sentence,
    person,
)
from attnreplace.data.grammar.draw_phrases import DETERMINERS, PhraseDraw, Weighted
from attnreplace.data.grammar.lexicon import (
    ANIMAL,
    CAN,
    FUTURE,
    MODES,
    MUST,
    PAST,
    PERSON,
    PLACE,
    PRESENT,
    THING,
    TIMES,
    WANT,
)
from attnreplace.data.grammar.lexicon_nouns import NOUNS
from attnreplace.data.grammar.lexicon_verbs import VERBS

FRAMES = Weighted(
    {
        "activity": 20,
        "motion": 8,
        "dwelling": 5,
        "transitive": 38,
        "ditransitive": 10,
        "copula": 19,
    }
)
MODE_WEIGHTS = Weighted({PRESENT: 34, PAST: 32, FUTURE: 14, CAN: 7, MUST: 6, WANT: 7})
MODALS = (CAN, MUST, WANT)
QUESTIONS = Weighted(
    {"whether": 40, "who": 14, "whom": 10, "what": 12, "where": 10, "when": 6, "why": 8}
)
LINKS = Weighted({"because": 40, "when": 28, "if": 16, "while": 16})
PLACED = {"activity": 0.35, "transitive": 0.15}
"""How often a clause that needs no place has one."""
PASSING = ("tired", "happy")
"""Qualities that are had for a time."""
SPEECH_TIMES = ("now", "today", "in the evening")
TIMES_BY_MODE = {
    mode: tuple(key for key, (_, modes) in TIMES.items() if mode in modes) for mode in MODES
}


def _verbs(*frames: str) -> tuple[str, ...]:
    return tuple(key for key, verb in VERBS.items() if verb.frame in frames)


BY_FRAME = {frame: _verbs(frame) for frame in FRAMES.choices}
SPEECH = _verbs("that", "whether")
ACTIONS = _verbs("activity", "transitive", "ditransitive")
EVENTS = tuple(key for key in (*ACTIONS, *BY_FRAME["motion"]) if not VERBS[key].state)
WHERE = tuple(key for key in EVENTS if VERBS[key].frame in ("activity", "transitive")) + _verbs(
    "dwelling"
)
OBJECT_OF = {
    noun: tuple(key for key, verb in VERBS.items() if noun in verb.objects) for noun in NOUNS
}
WHOM = OBJECT_OF["man"]
WHAT = tuple(key for key in OBJECT_OF["book"] if key not in WHOM)
DITRANSITIVE = _verbs("ditransitive")
ANIMAL_ACTS = tuple(
    key for key, verb in VERBS.items() if ANIMAL in verb.subjects and verb.frame != "copula"
)


class Draw(PhraseDraw):
    """Draws abstract sentences.

    Args:
        rng: the source of randomness.
        levels: how many clauses may lie inside one another.
        nesting: scales how often a place that can hold a clause does.
    """

    def __init__(self, rng: random.Random, levels: int, nesting: float = 1.0) -> None:
        super().__init__(rng, nesting)
        self.levels = levels

    def sentence(self) -> Sentence:
        """A sentence of any kind."""
        point = self.rng.random()
        if point < 0.16:
            return self.question()
        if point < 0.36:
            # The first clause does not end in one that could swallow the second.
            return Sentence(
                main=self.clause(self.levels, complement=False),
                link="but" if self.chance(0.4) else "and",
                second=self.clause(self.levels),
            )
        if not self.nests(self.levels, 0.5):
            return Sentence(self.clause(self.levels))
        link, mode, second_mode = self.link()
        first = self.chance(0.5)
        return Sentence(
            main=self.clause(self.levels, mode, front=not first, complement=False),
            link=link,
            second=self.clause(self.levels - 1, second_mode, front=False),
            second_first=first,
        )

    def link(self) -> tuple[str, str | None, str | None]:
        """A conjunction, and the modes of the main and the subordinate clause."""
        link = LINKS.pick(self.rng)
        if link == "when":
            mode = self.pick((PRESENT, PAST))
            return link, mode, mode
        if link == "while":
            return link, PRESENT, PRESENT
        if link == "if":
            return link, self.pick((PRESENT, FUTURE, CAN, MUST)), PRESENT
        return link, None, None

    def question(self) -> Sentence:
        """A question; what it asks for is missing from its clause."""
        word, levels = QUESTIONS.pick(self.rng), self.levels
        if word == "whether" and self.nests(levels, 0.15):
            link, mode, second_mode = self.link()
            main = self.clause(levels, mode, front=False, complement=False)
            return Sentence(main, word, link, self.clause(levels - 1, second_mode, front=False))
        if word in ("whether", "why"):
            return Sentence(self.clause(levels, front=False), word)
        if word == "when":
            mode = self.pick((PAST, FUTURE))
            return Sentence(self.predication(EVENTS, levels, mode, missing="time"), word)
        verbs, missing = {
            "who": (ACTIONS, "subject"),
            "whom": (WHOM, "object"),
            "what": (WHAT, "object"),
            "where": (WHERE, "place"),
        }[word]
        return Sentence(self.predication(verbs, levels, missing=missing), word)

    def clause(
        self, levels: int, mode: str | None = None, *, front: bool = True, complement: bool = True
    ) -> Clause:
        """A clause that lacks nothing.

        Args:
            levels: how many clauses may lie inside one another from here.
            mode: tense or modal, if given.
            front: whether the time may stand in front.
            complement: whether a clause may be its object.
        """
        if complement and mode in (None, PRESENT) and self.nests(levels, 0.2):
            time = self.pick(SPEECH_TIMES) if front and self.chance(0.1) else None
            return Clause(
                verb=self.pick(SPEECH),
                mode=PRESENT,
                subject=self.person(levels, DETERMINERS),
                complement=self.clause(levels - 1, front=False),
                time=time,
                time_first=time is not None,
            )
        return self.predication(BY_FRAME[FRAMES.pick(self.rng)], levels, mode, front=front)

    def predication(
        self,
        verbs: Sequence[str],
        levels: int,
        mode: str | None = None,
        *,
        front: bool = False,
        missing: str | None = None,
        head: Common | None = None,
    ) -> Clause:
        """A clause with one of `verbs`.

        Args:
            verbs: keys of verbs.
            levels: how many clauses may lie inside one another from here.
            mode: tense or modal, if given.
            front: whether the time may stand in front.
            missing: the role that a question word or relative pronoun plays.
            head: the antecedent of the relative pronoun.
        """
        key = self.pick(verbs)
        verb = VERBS[key]
        mode = mode or MODE_WEIGHTS.pick(self.rng)
        if verb.state and mode in MODALS:
            mode = PRESENT
        negated = mode != MUST and self.chance(0.16)
        subject = None if missing == "subject" else self.subject(verb, levels, negated)
        if missing == "object" and head is not None and not verb.german_dative:
            subject = self.told_apart(head, subject)
        quality, place = None, None
        if verb.frame == "copula":
            category = _category(subject or head)
            if category != PLACE and self.chance(0.3):
                place = self.place(1, on_furniture=category == THING)
            else:
                quality = self.quality(category, subject or head)
        time, time_first = None, False
        timed = not verb.state if quality is None else quality.adjective in PASSING
        if timed and missing != "time" and self.chance(0.28):
            # A negation before "every day" would deny the time alone.
            times = TIMES_BY_MODE[mode]
            time = self.pick([t for t in times if t != "every day"] if negated else times)
            time_first = front and self.chance(0.5)
        # The last phrase may end in a relative clause if no time follows it.
        last = levels if time is None or time_first else 1
        if missing != "place":
            if verb.frame == "motion":
                place = self.goal(last)
            elif verb.frame == "dwelling" or (
                not verb.state and self.chance(PLACED.get(verb.frame, 0.0))
            ):
                place = self.place(last)
        target, recipient = None, None
        if verb.frame == "ditransitive" and missing != "recipient":
            recipient = self.unlike(subject, lambda: self.recipient(last, negated, subject))
        if verb.objects and missing != "object":
            free = last if place is None and recipient is None else 1
            target = self.unlike(subject, lambda: self.target(verb, free, negated, subject))
        return Clause(
            verb=key,
            mode=mode,
            negated=negated,
            subject=subject,
            object=target,
            recipient=recipient,
            place=place,
            quality=quality,
            time=time,
            time_first=time_first,
        )

    def relative(self, head: Common, levels: int) -> Relative:
        """A relative clause for `head`."""
        category, below = NOUNS[head.noun].category, levels - 1
        point = self.rng.random()
        objects = OBJECT_OF[head.noun]
        if category == PERSON and point < 0.12:
            role, verbs = "recipient", DITRANSITIVE
        elif category == PLACE and point < 0.4:
            role, verbs = "place", WHERE
        elif objects and point < 0.45:
            role, verbs = "object", objects
        elif category == PERSON:
            role, verbs = "subject", BY_FRAME[FRAMES.pick(self.rng)]
        elif category == ANIMAL and point < 0.8:
            role, verbs = "subject", ANIMAL_ACTS
        else:
            role, verbs = "subject", ("be",)
        return Relative(role, self.predication(verbs, below, missing=role, head=head))

    def told_apart(self, head: Common, subject: Phrase | None) -> Phrase | None:
        """A subject that German does not confuse with the object of a relative clause.

        "die Frau, die das Kind sieht" says that the woman sees. Only a masculine singular, a
        pronoun with cases or a verb of another number can say that the child does.
        """
        if _has_cases(head) or subject is None or _has_cases(subject):
            return subject
        if person(head) != person(subject):
            return subject
        return Pronoun(self.pick(("I", "he", "we")))


def _has_cases(phrase: Phrase) -> bool:
    """Whether nominative and accusative differ in German."""
    if isinstance(phrase, Pronoun):
        return phrase.word in ("I", "he", "we")
    if isinstance(phrase, Both):
        return _has_cases(phrase.first) or _has_cases(phrase.second)
    if isinstance(phrase, Name) or isinstance(phrase.owner, Name):
        return False
    return NOUNS[phrase.noun].german_gender == "m" and not phrase.plural


def _category(phrase: Phrase | None) -> str:
    return NOUNS[phrase.noun].category if isinstance(phrase, Common) else PERSON
