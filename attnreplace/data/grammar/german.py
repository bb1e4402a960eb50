"""German: cases, adjective endings, verb-second and verb-final order, separable verbs."""

from attnreplace.data.grammar.abstract import (
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
    CITIES,
    COORDINATORS,
    FUTURE,
    LINKS,
    MUST,
    NUMERALS,
    PAST,
    PREPOSITIONS,
    PRESENT,
    TIMES,
    WANT,
)
from attnreplace.data.grammar.lexicon_adjectives import ADJECTIVES
from attnreplace.data.grammar.lexicon_nouns import NOUNS
from attnreplace.data.grammar.lexicon_verbs import VERBS

NOMINATIVE, ACCUSATIVE, DATIVE, GENITIVE = range(4)
PLURAL = "p"

PRONOUNS = {
    "I": ("ich", "mich", "mir"),
    "he": ("er", "ihn", "ihm"),
    "she": ("sie",),
    "we": ("wir", "uns", "uns"),
    "they": ("sie", "sie", "ihnen"),
}
ARTICLE = {
    "m": ("der", "den", "dem", "des"),
    "f": ("die", "die", "der", "der"),
    "n": ("das", "das", "dem", "des"),
    PLURAL: ("die", "die", "den", "der"),
}
RELATIVE = ARTICLE | {PLURAL: ("die", "die", "denen", "deren")}
STRONG = {
    "m": ("er", "en", "em", "es"),
    "f": ("e", "e", "er", "er"),
    "n": ("es", "es", "em", "es"),
    PLURAL: ("e", "e", "en", "er"),
}
"""Endings of "dieser" and "jeder", and of adjectives that no determiner precedes."""
STRONG_ADJECTIVE = STRONG | {"m": ("er", "en", "em", "en"), "n": ("es", "es", "em", "en")}
EIN = {"m": ("", "en", "em", "es"), "f": STRONG["f"], "n": ("", "", "em", "es")} | {
    PLURAL: STRONG[PLURAL]
}
"""Endings of "ein", "kein" and the possessives."""
WEAK = {
    "m": ("e", "en", "en", "en"),
    "f": ("e", "e", "en", "en"),
    "n": ("e", "e", "en", "en"),
    PLURAL: ("en", "en", "en", "en"),
}
MIXED = WEAK | {"m": ("er", "en", "en", "en"), "n": ("es", "es", "en", "en")}

DER_WORDS = {"this": "dies", "every": "jed"}
EIN_WORDS = {"a": "ein", "no": "kein", "my": "mein", "our": "unser", "his": "sein", "their": "ihr"}
MODALS = {
    FUTURE: ("werde", "wird", "werden", "werden"),
    CAN: ("kann", "kann", "können", "können"),
    MUST: ("muss", "muss", "müssen", "müssen"),
    WANT: ("will", "will", "wollen", "wollen"),
}
CONTRACTED = {"in dem": "im", "zu dem": "zum", "zu der": "zur"}
QUESTIONS = {
    "who": "wer",
    "whom": "wen",
    "what": "was",
    "where": "wo",
    "when": "wann",
    "why": "warum",
}


def linearise(sentence: Sentence) -> str:
    """The German sentence."""
    if sentence.second is None:
        words = _main(sentence.main, sentence.question)
    elif sentence.link in COORDINATORS:
        link = COORDINATORS[str(sentence.link)].german
        comma = [","] if link == "aber" else []
        words = [*_main(sentence.main, None), *comma, link, *_main(sentence.second, None)]
    else:
        link = LINKS[str(sentence.link)].german
        if link == "wenn" and sentence.second.mode == PAST:
            link = "als"
        second = [link, *_verb_final(sentence.second)]
        if sentence.second_first:
            words = [*second, ",", *_verb_first(sentence.main)]
        else:
            words = [*_main(sentence.main, sentence.question), ",", *second]
    return _spell(words, "." if sentence.question is None else "?")


def _spell(words: list[str], end: str) -> str:
    """Reduce the commas, join."""
    kept: list[str] = []
    for word in words:
        # A clause inside another brings a comma at either end: two that meet are one.
        if word != "," or kept[-1] != ",":
            kept.append(word)
    if kept[-1] == ",":
        kept.pop()
    text = " ".join(kept).replace(" ,", ",")
    return text[0].upper() + text[1:] + end


def _gender(phrase: Common) -> str:
    return PLURAL if phrase.plural else NOUNS[phrase.noun].german_gender


def _noun(phrase: Common, case: int) -> str:
    noun = NOUNS[phrase.noun]
    if phrase.plural:
        plural = noun.german[1]
        return plural if case != DATIVE or plural[-1] in "ns" else plural + "n"
    if case == GENITIVE or (noun.german_weak and case != NOMINATIVE):
        return noun.german_genitive
    return noun.german[0]


def _phrase(phrase: Phrase, case: int, denied: bool = False) -> list[str]:
    """A noun phrase in a case; `denied` makes "kein" of "ein"."""
    if isinstance(phrase, Name):
        return [phrase.name]
    if isinstance(phrase, Pronoun):
        return [PRONOUNS[phrase.word][case]]
    if isinstance(phrase, Both):
        return [*_phrase(phrase.first, case), "und", *_phrase(phrase.second, case)]
    gender = _gender(phrase)
    words: list[str] = []
    endings = WEAK[gender]
    determiner = "no" if denied and phrase.determiner == "a" else phrase.determiner
    if isinstance(phrase.owner, Name):
        words.append(phrase.owner.name + "s")
        endings = STRONG_ADJECTIVE[gender]
    elif determiner == "the":
        words.append(ARTICLE[gender][case])
    elif determiner in DER_WORDS:
        words.append(DER_WORDS[determiner] + STRONG[gender][case])
    elif determiner == "many":
        words.append("viel" + STRONG[gender][case])
        endings = STRONG_ADJECTIVE[gender]
    elif determiner == "a" and phrase.plural:
        endings = STRONG_ADJECTIVE[gender]
    else:
        words.append(EIN_WORDS[determiner] + EIN[gender][case])
        endings = MIXED[gender]
    if phrase.numeral is not None:
        words.append(NUMERALS[phrase.numeral].german)
    ending = endings[case]
    words += [ADJECTIVES[key].german_stem + ending for key in phrase.adjectives]
    words.append(_noun(phrase, case))
    if phrase.owner is not None and not isinstance(phrase.owner, Name):
        words += _phrase(phrase.owner, GENITIVE)
    if phrase.origin is not None:
        words += ["aus", CITIES[phrase.origin].german]
    if phrase.bearing is not None:
        words += ["mit", *_phrase(phrase.bearing, DATIVE)]
    if phrase.relative is not None:
        words += _relative(phrase, phrase.relative)
    return words


def _relative(head: Common, relative: Relative) -> list[str]:
    clause, forms = relative.clause, RELATIVE[_gender(head)]
    if relative.role == "subject":
        return [",", forms[NOMINATIVE], *_verb_final(clause, person(head)), ","]
    if relative.role == "place":
        return [",", "in", forms[DATIVE], *_verb_final(clause), ","]
    dative = relative.role == "recipient" or VERBS[clause.verb].german_dative
    return [",", forms[DATIVE if dative else ACCUSATIVE], *_verb_final(clause), ","]


def _place(place: Place) -> list[str]:
    if place.phrase is None:
        city = CITIES[str(place.city)].german
        return ["nach" if place.preposition == "to" else "in", city]
    preposition = PREPOSITIONS[place.preposition].german
    words = _phrase(place.phrase, DATIVE)
    # The article that announces a relative clause stays whole: "in dem Haus, das ...".
    if place.phrase.determiner == "the" and place.phrase.relative is None:
        contracted = CONTRACTED.get(f"{preposition} {words[0]}")
        if contracted is not None:
            return [contracted, *words[1:]]
    return [preposition, *words]


def _quality(quality: Quality) -> list[str]:
    word = ADJECTIVES[quality.adjective]
    if quality.than is None:
        return [word.german]
    return [word.german_comparative, "als", *_phrase(quality.than, NOMINATIVE)]


def _time(clause: Clause) -> list[str]:
    return [] if clause.time is None else [TIMES[clause.time][0].german]


def _verb(clause: Clause, who: int) -> tuple[str, str, str]:
    """The finite verb, its separable prefix, and what closes the clause."""
    verb = VERBS[clause.verb]
    if clause.mode in MODALS:
        return MODALS[clause.mode][who], "", verb.german_infinitive
    if clause.mode == PRESENT:
        return verb.german_present[who], verb.german_prefix, ""
    if verb.german_preterite is not None:
        return verb.german_preterite[who], "", ""
    auxiliary = VERBS["be" if verb.german_sein else "have"].german_present[who]
    return auxiliary, "", verb.german_participle


def _middle(clause: Clause, time: list[str]) -> list[str]:
    """Between the subject and what closes the clause.

    Pronouns come first, though never in front of a subject, which "sie" would be taken for.
    """
    verb = VERBS[clause.verb]
    pronouns: list[str] = []
    nouns: list[str] = []
    denied = clause.negated
    denial = ["nicht"] if denied else []
    if clause.recipient is not None:
        words = _phrase(clause.recipient, DATIVE)
        (pronouns if isinstance(clause.recipient, Pronoun) else nouns).extend(words)
    if clause.object is not None:
        target = clause.object
        words = _phrase(target, DATIVE if verb.german_dative else ACCUSATIVE, denied)
        (pronouns if isinstance(target, Pronoun) else nouns).extend(words)
        if isinstance(target, Common) and target.determiner == "a" and target.owner is None:
            denial = []
    tail = [] if clause.place is None else _place(clause.place)
    if clause.quality is not None:
        tail = _quality(clause.quality)
    return [*pronouns, *time, *nouns, *denial, *tail]


def _complement(clause: Clause) -> list[str]:
    if clause.complement is None:
        return []
    link = "ob" if VERBS[clause.verb].frame == "whether" else "dass"
    return [",", link, *_verb_final(clause.complement), ","]


def _verb_final(clause: Clause, antecedent: int = 1) -> list[str]:
    """A subordinate clause after its conjunction or relative pronoun."""
    subject = [] if clause.subject is None else _phrase(clause.subject, NOMINATIVE)
    who = antecedent if clause.subject is None else person(clause.subject)
    finite, prefix, closing = _verb(clause, who)
    closed = [closing] if closing else []
    middle = _middle(clause, _time(clause))
    return [*subject, *middle, *closed, prefix + finite, *_complement(clause)]


def _verb_first(clause: Clause, time: bool = True) -> list[str]:
    """A main clause from its finite verb on; the subject follows the verb."""
    subject = [] if clause.subject is None else _phrase(clause.subject, NOMINATIVE)
    who = 1 if clause.subject is None else person(clause.subject)
    finite, prefix, closing = _verb(clause, who)
    end = [word for word in (prefix, closing) if word]
    middle = _middle(clause, _time(clause) if time else [])
    return [finite, *subject, *middle, *end, *_complement(clause)]


def _main(clause: Clause, question: str | None) -> list[str]:
    if question == "whether":
        return _verb_first(clause)
    if question is not None:
        word = QUESTIONS[question]
        if question == "whom" and VERBS[clause.verb].german_dative:
            word = "wem"
        return [word, *_verb_first(clause)]
    if clause.time_first:
        return [*_time(clause), *_verb_first(clause, time=False)]
    assert clause.subject is not None
    finite, prefix, closing = _verb(clause, person(clause.subject))
    end = [word for word in (prefix, closing) if word]
    middle = _middle(clause, _time(clause))
    subject = _phrase(clause.subject, NOMINATIVE)
    return [*subject, finite, *middle, *end, *_complement(clause)]
