"""What a dictionary entry holds, and the short closed lists: names, cities, times, numerals."""

from dataclasses import dataclass

PRESENT, PAST, FUTURE, CAN, MUST, WANT = "present", "past", "future", "can", "must", "want"
MODES = (PRESENT, PAST, FUTURE, CAN, MUST, WANT)
"""Tense and modal are one choice: a clause has exactly one of these."""

PERSON, ANIMAL, THING, PLACE, FURNITURE = "person", "animal", "thing", "place", "furniture"


@dataclass(frozen=True)
class Noun:
    """A noun in three languages; plural forms follow singular ones."""

    category: str
    english: tuple[str, str]
    german_gender: str
    """"m", "f" or "n"."""
    german: tuple[str, str]
    german_genitive: str
    german_weak: bool
    """Weak masculine nouns take the genitive form in every case but the nominative."""
    french_gender: str
    french: tuple[str, str]


@dataclass(frozen=True)
class Adjective:
    """An adjective in three languages. Comparatives are empty where none is drawn."""

    categories: frozenset[str]
    english: str
    english_comparative: str
    german: str
    german_stem: str
    german_comparative: str
    french: tuple[str, str, str, str]
    """Masculine and feminine singular, masculine and feminine plural."""
    french_before_vowel: str
    """Masculine singular in front of a vowel."""
    french_first: bool
    """Whether it stands in front of its noun."""
    predicative: bool


@dataclass(frozen=True)
class Verb:
    """A verb in three languages. Four finite forms each: I, he or she, we, they."""

    frame: str
    """Which complements it takes: "activity", "motion", "dwelling", "transitive", "ditransitive",
    "that", "whether" or "copula"."""
    subjects: frozenset[str]
    objects: frozenset[str]
    """Noun keys that can be its direct object."""
    english: str
    english_past: str
    german_prefix: str
    german_infinitive: str
    german_present: tuple[str, str, str, str]
    german_participle: str
    german_sein: bool
    german_dative: bool
    """Whether what is a direct object elsewhere is a dative in German."""
    german_preterite: tuple[str, str, str, str] | None
    """States have it in the past (and the imparfait in French); all else has the Perfekt."""
    french_infinitive: str
    french_present: tuple[str, str, str, str]
    french_participle: str
    french_future: str
    """Stem of the future."""
    french_etre: bool
    french_reflexive: bool

    @property
    def state(self) -> bool:
        """Whether the verb names a state."""
        return self.german_preterite is not None


@dataclass(frozen=True)
class Entry:
    """A word or fixed phrase that never inflects."""

    english: str
    german: str
    french: str


NAMES: dict[str, str] = {
    "Anna": "f",
    "Paul": "m",
    "Marie": "f",
    "Peter": "m",
    "Julia": "f",
    "Emil": "m",
    "Eva": "f",
    "Martin": "m",
}
"""Names, alike in all three languages, and their gender. None ends in s: genitives stay plain."""

CITIES: dict[str, Entry] = {
    entry.english: entry
    for entry in (
        Entry("Berlin", "Berlin", "Berlin"),
        Entry("Paris", "Paris", "Paris"),
        Entry("London", "London", "Londres"),
        Entry("Vienna", "Wien", "Vienne"),
        Entry("Rome", "Rom", "Rome"),
        Entry("Athens", "Athen", "Athènes"),
    )
}

NUMERALS: dict[str, Entry] = {
    entry.english: entry
    for entry in (
        Entry("two", "zwei", "deux"),
        Entry("three", "drei", "trois"),
        Entry("four", "vier", "quatre"),
        Entry("five", "fünf", "cinq"),
        Entry("ten", "zehn", "dix"),
    )
}
"""No "huit" and no "onze": they block French elision."""

TIMES: dict[str, tuple[Entry, frozenset[str]]] = {
    entry.english: (entry, frozenset(modes))
    for entry, modes in (
        (Entry("yesterday", "gestern", "hier"), (PAST,)),
        (Entry("last week", "letzte Woche", "la semaine dernière"), (PAST,)),
        (Entry("last year", "letztes Jahr", "l'année dernière"), (PAST,)),
        (Entry("now", "jetzt", "maintenant"), (PRESENT, CAN, MUST, WANT)),
        (Entry("today", "heute", "aujourd'hui"), (PRESENT, FUTURE, CAN, MUST, WANT)),
        (Entry("every day", "jeden Tag", "chaque jour"), (PRESENT,)),
        (Entry("in the evening", "am Abend", "le soir"), (PRESENT, PAST, FUTURE)),
        (Entry("tomorrow", "morgen", "demain"), (FUTURE, CAN, MUST, WANT)),
        (Entry("next week", "nächste Woche", "la semaine prochaine"), (FUTURE, CAN, MUST, WANT)),
        (Entry("soon", "bald", "bientôt"), (FUTURE,)),
    )
}
"""When, and the modes that it goes with."""

PREPOSITIONS: dict[str, Entry] = {
    entry.english: entry
    for entry in (
        Entry("in", "in", "dans"),
        Entry("in front of", "vor", "devant"),
        Entry("behind", "hinter", "derrière"),
        Entry("next to", "neben", "à côté de"),
        Entry("on", "auf", "sur"),
        Entry("under", "unter", "sous"),
        Entry("to", "zu", "à"),
    )
}
"""All take the dative in German."""

LINKS: dict[str, Entry] = {
    "because": Entry("because", "weil", "parce que"),
    "when": Entry("when", "wenn", "quand"),
    "if": Entry("if", "falls", "si"),
    "while": Entry("while", "während", "pendant que"),
}
"""Subordinating conjunctions. "falls", not "wenn", for "if": so that "wenn" is always "when"."""

COORDINATORS: dict[str, Entry] = {
    "and": Entry("and", "und", "et"),
    "but": Entry("but", "aber", "mais"),
}
