"""Colours of the page and its figures, for light and dark."""

from collections.abc import Sequence
from typing import NamedTuple

from attnreplace.evaluate.labels import family_word
from attnreplace.report.result import METHODS, Result

# Role: (light, dark). Each light value is unique: in an SVG it stands for its role and becomes
# a CSS variable, so that one drawing serves both schemes.
ROLES = {
    "paper": ("#ffffff", "#15181c"),
    "panel": ("#f5f6f8", "#1d2126"),
    "ink": ("#1b1e23", "#e6e8eb"),
    "muted": ("#5c6470", "#a2abb7"),
    "rule": ("#d8dce2", "#363c45"),
    "heat": ("#6fb3de", "#246a9f"),
    # Blue, vermilion, green, purple, ochre and indigo of differing lightness: told apart with
    # every common colour-vision deficiency, and at least 4.5:1 against the paper as text.
    "series-0": ("#0068a8", "#62b4f0"),
    "series-1": ("#b84c00", "#ff9f60"),
    "series-2": ("#00775a", "#40c89c"),
    "series-3": ("#9c3f78", "#e89bc9"),
    "series-4": ("#756000", "#d6bc4e"),
    "series-5": ("#4f56b3", "#a3aaff"),
}
LIGHT = {role: light for role, (light, _) in ROLES.items()}
DARK = {role: dark for role, (_, dark) in ROLES.items()}
MARKERS = ("o", "s", "D", "^", "v", "P")


class Series(NamedTuple):
    """What one line in a figure joins: students that differ in their size only."""

    method: str
    family: str
    variant: str = ""


def series_of(result: Result) -> Series:
    """The series of a student."""
    return Series(result.method or result.name, result.family or "", result.variant)


class Styles:
    """A colour, a marker and a name for each series of a report."""

    def __init__(self, series: Sequence[Series]) -> None:
        """The known methods of the first family keep their colours whatever else is there."""
        unique = list(dict.fromkeys(series))
        families = list(dict.fromkeys(one.family for one in unique))
        slots = [Series(method, family) for family in families[:1] for method in METHODS]
        slots += [one for one in unique if one not in slots]
        self._slot = {one: slot for slot, one in enumerate(slots)}

    def color(self, series: Series) -> str:
        """The light colour; a figure's SVG replaces it by its role."""
        return LIGHT[f"series-{self._slot[series] % len(MARKERS)}"]

    def marker(self, series: Series) -> str:
        """The marker; from the second round of colours on it differs from the first's."""
        slot = self._slot[series]
        return MARKERS[(slot + slot // len(MARKERS)) % len(MARKERS)]

    def label(self, series: Series, size: str = "") -> str:
        """`ALRR-M`, with the family where it is not the usual one, and what sets it apart."""
        name = f"{series.method}-{size}".upper() if size else series.method.upper()
        name = " ".join(filter(None, [name, family_word(series.family)]))
        return f"{name}, {series.variant}" if series.variant else name
