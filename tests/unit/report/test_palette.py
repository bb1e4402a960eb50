import itertools

import pytest

from attnreplace.report.palette import DARK, LIGHT, MARKERS, ROLES, Series, Styles


def luminance(color: str) -> float:
    """Relative luminance as WCAG 2 defines it."""
    parts = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    low, high = sorted([luminance(one), luminance(other)])
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", [LIGHT, DARK], ids=["light", "dark"])
def test_text_can_be_read(scheme: dict[str, str]) -> None:
    texts = [role for role in ROLES if role in ("ink", "muted") or role.startswith("series")]
    for role, ground in itertools.product(texts, ("paper", "panel")):
        assert contrast(scheme[role], scheme[ground]) >= 4.5, (role, ground)
    assert contrast(scheme["ink"], scheme["heat"]) >= 4.5


def test_every_light_color_stands_for_one_role() -> None:
    assert len(set(LIGHT.values())) == len(ROLES)


def test_methods_keep_their_colors() -> None:
    alr, elr = Series("alr", "shallow_ff"), Series("elr", "shallow_ff")
    both, one = Styles([elr, alr]), Styles([elr])
    assert both.color(elr) == one.color(elr) != both.color(alr)
    assert one.label(elr) == "ELR"
    assert one.label(elr, "m") == "ELR-M"
    paper = Series("elr", "shallow_ff", "non-causal")
    three = Styles([elr, alr, paper])
    assert three.color(elr) == one.color(elr) != three.color(paper)
    assert three.label(paper, "m") == "ELR-M, non-causal"
    mixer = Series("elr", "amlp", "contains attention")
    two = Styles([elr, mixer])
    assert two.color(elr) != two.color(mixer)
    assert two.label(elr, "m") == "ELR-M"
    assert two.label(mixer, "m") == "ELR-M aMLP, contains attention"


def test_many_series_differ_in_color_or_marker() -> None:
    series = [
        Series(method, family) for family in ("a", "b", "c") for method in ("alr", "elr", "new")
    ]
    styles = Styles(series)
    looks = {(styles.color(one), styles.marker(one)) for one in series}
    assert len(looks) == len(series)
    assert {styles.marker(one) for one in series} <= set(MARKERS)
    assert styles.label(Series("alr", "b"), "m") == "ALR-M b"
