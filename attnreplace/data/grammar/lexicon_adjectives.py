"""Adjectives: English, comparative | German, comparative[, stem] | French forms.

French lists masculine, feminine[, masculine plural[, masculine before a vowel]]. Those under
`FIRST` stand in front of a French noun and come first in English and German, so that two
adjectives have one order in each language. English has "tall" and "short" for people and "big" and
"small" for all else: the noun that follows tells. "-" stands for a comparative never drawn.
"""

from attnreplace.data.grammar.lexicon import ANIMAL, FURNITURE, PERSON, PLACE, THING, Adjective

OBJECTS = (THING, PLACE, FURNITURE)
ALL = (PERSON, ANIMAL, *OBJECTS)

FIRST = (
    ((ANIMAL, *OBJECTS), "big bigger | groß größer | grand grande"),
    ((PERSON,), "tall taller | groß größer | grand grande"),
    ((ANIMAL, *OBJECTS), "small smaller | klein kleiner | petit petite"),
    ((PERSON,), "short shorter | klein kleiner | petit petite"),
    (ALL, "old older | alt älter | vieux vieille vieux vieil"),
    ((PERSON, ANIMAL), "young younger | jung jünger | jeune jeune"),
    (ALL, "beautiful more_beautiful | schön schöner | beau belle beaux bel"),
    (OBJECTS, "new - | neu - | nouveau nouvelle nouveaux nouvel"),
    ((PERSON, THING), "good better | gut besser | bon bonne"),
)
AFTER = (
    ((THING, FURNITURE), "red - | rot - | rouge rouge"),
    ((THING, FURNITURE), "green - | grün - | vert verte"),
    ((THING, ANIMAL), "black - | schwarz - | noir noire"),
    ((THING, ANIMAL, PLACE), "white - | weiß - | blanc blanche"),
    ((PERSON,), "rich richer | reich reicher | riche riche"),
    ((PERSON,), "happy happier | glücklich glücklicher | heureux heureuse"),
    ((PERSON, ANIMAL), "tired - | müde - müd | fatigué fatiguée"),
    ((PERSON, ANIMAL), "intelligent more_intelligent | klug klüger | intelligent intelligente"),
    ((THING, FURNITURE), "heavy heavier | schwer schwerer | lourd lourde"),
    ((THING,), "expensive more_expensive | teuer teurer teur | cher chère"),
    ((PERSON, PLACE), "famous more_famous | berühmt berühmter | célèbre célèbre"),
    ((PLACE,), "modern more_modern | modern moderner | moderne moderne"),
    ((ANIMAL,), "dangerous more_dangerous | gefährlich gefährlicher | dangereux dangereuse"),
)


def _adjective(categories: tuple[str, ...], row: str, first: bool) -> tuple[str, Adjective]:
    english, german, french = (cell.split() for cell in row.split("|"))
    masculine, feminine, *rest = french
    plural = rest[0] if rest else masculine + "s" * (masculine[-1] != "x")
    return english[0], Adjective(
        categories=frozenset(categories),
        english=english[0],
        english_comparative=english[1].strip("-").replace("_", " "),
        german=german[0],
        german_stem=german[2] if len(german) > 2 else german[0],
        german_comparative=german[1].strip("-"),
        french=(masculine, feminine, plural, feminine + "s"),
        french_before_vowel=rest[1] if len(rest) > 1 else masculine,
        french_first=first,
        predicative=english[0] != "new",
    )


ADJECTIVES: dict[str, Adjective] = dict(
    [_adjective(categories, row, True) for categories, row in FIRST]
    + [_adjective(categories, row, False) for categories, row in AFTER]
)

FIRST_BY_CATEGORY: dict[str, tuple[str, ...]] = {
    category: tuple(
        key for key, word in ADJECTIVES.items() if word.french_first and category in word.categories
    )
    for category in ALL
}
AFTER_BY_CATEGORY: dict[str, tuple[str, ...]] = {
    category: tuple(
        key
        for key, word in ADJECTIVES.items()
        if not word.french_first and category in word.categories
    )
    for category in ALL
}
