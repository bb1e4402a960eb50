"""French: agreement of adjectives and participles, clitics, ne ... pas, elision, contraction."""

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
    NAMES,
    NUMERALS,
    PREPOSITIONS,
    PRESENT,
    TIMES,
    WANT,
)
from attnreplace.data.grammar.lexicon_adjectives import ADJECTIVES
from attnreplace.data.grammar.lexicon_nouns import NOUNS
from attnreplace.data.grammar.lexicon_verbs import VERBS

SUBJECTS = {"I": "je", "he": "il", "she": "elle", "we": "nous", "they": "ils"}
OBJECTS = {"I": "me", "he": "le", "we": "nous", "they": "les"}
RECIPIENTS = {"I": "me", "we": "nous", "they": "leur"}
REFLEXIVES = ("me", "se", "nous", "se")
ARTICLES = {
    # Masculine and feminine singular, plural.
    "the": ("le", "la", "les"),
    "a": ("un", "une", "des"),
    "this": ("ce", "cette", "ces"),
    "my": ("mon", "ma", "mes"),
    "our": ("notre", "notre", "nos"),
    "his": ("son", "sa", "ses"),
    "their": ("leur", "leur", "leurs"),
    "every": ("chaque", "chaque", ""),
}
BEFORE_VOWEL = {"ce": "cet", "ma": "mon", "sa": "son"}
MEILLEUR = ("meilleur", "meilleure", "meilleurs", "meilleures")
LEQUEL = ("lequel", "laquelle", "lesquels", "lesquelles")
MODALS = {
    CAN: ("peux", "peut", "pouvons", "peuvent"),
    MUST: ("dois", "doit", "devons", "doivent"),
    WANT: ("veux", "veut", "voulons", "veulent"),
}
FUTURE_ENDINGS = ("ai", "a", "ons", "ont")
IMPARFAIT_ENDINGS = ("ais", "ait", "ions", "aient")
QUESTIONS = {
    "whether": ["est-ce", "que"],
    "whom": ["qui", "est-ce", "que"],
    "what": ["qu'est-ce", "que"],
    "where": ["où", "est-ce", "que"],
    "when": ["quand", "est-ce", "que"],
    "why": ["pourquoi", "est-ce", "que"],
}
ELIDED = frozenset(("le", "la", "de", "ne", "je", "me", "se", "que"))
CONTRACTED = {("de", "le"): "du", ("de", "les"): "des", ("à", "le"): "au", ("à", "les"): "aux"}
VOWELS = frozenset("aeiouhâàéèêîôûœ")
"""Initials that elide the word before; every h of the lexicon is mute."""

Features = tuple[bool, bool]
"""Feminine, plural."""


def linearise(sentence: Sentence) -> str:
    """The French sentence."""
    words = _main(sentence.main, sentence.question)
    if sentence.second is not None:
        second = _clause(sentence.second)
        link = sentence.link
        if link in COORDINATORS:
            comma = [","] if link == "but" else []
            words = [*words, *comma, COORDINATORS[str(link)].french, *second]
        elif sentence.second_first:
            words = [*LINKS[str(link)].french.split(), *second, ",", *words]
        else:
            words = [*words, *LINKS[str(link)].french.split(), *second]
    return _spell(words, "." if sentence.question is None else " ?")


def _vowel(word: str) -> bool:
    return word[0].lower() in VOWELS


def _spell(words: list[str], end: str) -> str:
    """Contract, elide, join."""
    text: list[str] = []
    i, last = 0, len(words) - 1
    while i <= last:
        word = words[i]
        following = words[i + 1] if i < last else ""
        contracted = CONTRACTED.get((word, following))
        if contracted and not (following == "le" and _vowel(words[i + 2])):
            text.append(contracted + " ")
            i += 2
            continue
        if following and (
            (word in ELIDED and _vowel(following)) or (word == "si" and following in ("il", "ils"))
        ):
            text.append(word[:-1] + "'")
        else:
            text.append(word + " ")
        i += 1
    joined = "".join(text).replace(" ,", ",").rstrip()
    return joined[0].upper() + joined[1:] + end


def _features(phrase: Phrase | None) -> Features:
    """What adjectives and participles agree with. First persons and "they" are masculine."""
    if isinstance(phrase, Common):
        return NOUNS[phrase.noun].french_gender == "f", phrase.plural
    if isinstance(phrase, Name):
        return NAMES[phrase.name] == "f", False
    if isinstance(phrase, Both):
        return _features(phrase.first)[0] and _features(phrase.second)[0], True
    if isinstance(phrase, Pronoun):
        return phrase.word == "she", phrase.word in ("we", "they")
    return False, False


def _agreeing(forms: tuple[str, str, str, str], features: Features) -> str:
    feminine, plural = features
    return forms[2 * plural + feminine]


def _phrase(phrase: Phrase, denied: bool = False) -> list[str]:
    """A noun phrase; `denied` makes "de" of "un" and "des"."""
    if isinstance(phrase, Name):
        return [phrase.name]
    if isinstance(phrase, Pronoun):
        return [SUBJECTS[phrase.word]]
    if isinstance(phrase, Both):
        return [*_phrase(phrase.first), "et", *_phrase(phrase.second)]
    noun = NOUNS[phrase.noun]
    features = _features(phrase)
    feminine, plural = features
    name = noun.french[plural]
    core: list[str] = []
    after: list[str] = []
    for key in phrase.adjectives:
        adjective = ADJECTIVES[key]
        form = _agreeing(adjective.french, features)
        if not adjective.french_first:
            after.append(form)
        elif feminine or plural or not _vowel(name):
            core.append(form)
        else:
            core.append(adjective.french_before_vowel)
    first = bool(core)
    core.append(name)
    if phrase.numeral is not None:
        core.insert(0, NUMERALS[phrase.numeral].french)
    words = [*_determiner(phrase, features, core[0], first, denied), *core, *after]
    if phrase.owner is not None:
        words += ["de", *_phrase(phrase.owner)]
    if phrase.origin is not None:
        words += ["de", CITIES[phrase.origin].french]
    if phrase.bearing is not None:
        words += ["avec", *_phrase(phrase.bearing)]
    if phrase.relative is not None:
        words += _relative(features, person(phrase), phrase.relative)
    return words


def _determiner(
    phrase: Common, features: Features, following: str, adjective_first: bool, denied: bool
) -> list[str]:
    feminine, plural = features
    if phrase.determiner == "many":
        return ["beaucoup", "de"]
    if phrase.determiner == "a":
        if phrase.numeral is not None:
            return []
        if denied or (plural and adjective_first):
            return ["de"]
    word = ARTICLES[phrase.determiner][2 if plural else feminine]
    return [BEFORE_VOWEL.get(word, word) if _vowel(following) else word]


def _relative(features: Features, who: int, relative: Relative) -> list[str]:
    clause = relative.clause
    if relative.role == "subject":
        return ["qui", *_clause(clause, features, who)]
    if relative.role == "place":
        return ["dans", _agreeing(LEQUEL, features), *_clause(clause)]
    if relative.role == "recipient":
        return ["à", "qui", *_clause(clause)]
    return ["que", *_clause(clause, before=features)]


def _place(place: Place) -> list[str]:
    if place.phrase is None:
        return ["à", CITIES[str(place.city)].french]
    preposition = PREPOSITIONS[place.preposition].french.split()
    words = _phrase(place.phrase)
    if preposition[-1] == "de" and words[0] in ("des", "de"):
        # "de" takes the place of the indefinite article in the plural: "à côté de maisons".
        return [*preposition, *words[1:]]
    return [*preposition, *words]


def _quality(quality: Quality, features: Features) -> list[str]:
    word = _agreeing(ADJECTIVES[quality.adjective].french, features)
    if quality.than is None:
        return [word]
    if quality.adjective == "good":
        return [_agreeing(MEILLEUR, features), "que", *_phrase(quality.than)]
    return ["plus", word, "que", *_phrase(quality.than)]


def _verb(clause: Clause, who: int, features: Features, before: Features | None) -> list[str]:
    """The verb with its clitics and negation.

    Args:
        who: index of the finite form.
        features: of the subject, for participles with être.
        before: of a direct object in front of the verb, for participles with avoir.
    """
    verb, mode = VERBS[clause.verb], clause.mode
    clitics: list[str] = []
    if verb.french_reflexive:
        clitics = [REFLEXIVES[who]]
    elif isinstance(clause.object, Pronoun):
        clitics = [OBJECTS[clause.object.word]]
        before = _features(clause.object)
    elif isinstance(clause.recipient, Pronoun):
        clitics = [RECIPIENTS[clause.recipient.word]]
    ne, pas = (["ne"], ["pas"]) if clause.negated else ([], [])
    if mode in MODALS:
        return [*ne, MODALS[mode][who], *pas, *clitics, verb.french_infinitive]
    closing: list[str] = []
    if mode == PRESENT:
        finite = verb.french_present[who]
    elif mode == FUTURE:
        finite = verb.french_future + FUTURE_ENDINGS[who]
    elif verb.state:
        stem = "ét" if clause.verb == "be" else verb.french_present[2].removesuffix("ons")
        finite = stem + IMPARFAIT_ENDINGS[who]
    else:
        finite = VERBS["be" if verb.french_etre else "have"].french_present[who]
        closing = [_participle(verb.french_participle, features if verb.french_etre else before)]
    return [*ne, *clitics, finite, *pas, *closing]


def _participle(form: str, features: Features | None) -> str:
    if features is None:
        return form
    feminine, plural = features
    return form + "e" * feminine + "s" * plural


def _clause(
    clause: Clause,
    antecedent: Features = (False, False),
    antecedent_person: int = 1,
    before: Features | None = None,
) -> list[str]:
    """A clause, all of them in the same order.

    Args:
        antecedent: features of the subject where it stands outside the clause.
        antecedent_person: its verb form.
        before: features of a direct object that stands in front of the clause.
    """
    subject: list[str] = []
    features, who = antecedent, antecedent_person
    if clause.subject is not None:
        subject = _phrase(clause.subject)
        features, who = _features(clause.subject), person(clause.subject)
    words = [*subject, *_verb(clause, who, features, before), *_after(clause, features)]
    if clause.time is None:
        return words
    time = TIMES[clause.time][0].french
    return [time, ",", *words] if clause.time_first else [*words, time]


def _after(clause: Clause, features: Features) -> list[str]:
    """What follows the verb; pronouns went in front of it."""
    words: list[str] = []
    if clause.object is not None and not isinstance(clause.object, Pronoun):
        words += _phrase(clause.object, denied=clause.negated)
    if clause.recipient is not None and not isinstance(clause.recipient, Pronoun):
        words += ["à", *_phrase(clause.recipient)]
    if clause.quality is not None:
        words += _quality(clause.quality, features)
    if clause.place is not None:
        words += _place(clause.place)
    if clause.complement is not None:
        words.append("si" if VERBS[clause.verb].frame == "whether" else "que")
        words += _clause(clause.complement)
    return words


def _main(clause: Clause, question: str | None) -> list[str]:
    if question is None:
        return _clause(clause)
    if question == "who":
        return ["qui", *_clause(clause)]
    return [*QUESTIONS[question], *_clause(clause)]
