from pathlib import Path

from attnreplace.report.markup import Markup, join, missing, tag


def test_text_and_attributes_are_escaped() -> None:
    element = tag("p", "a < b & c", title='"><script>')
    assert element == '<p title="&quot;&gt;&lt;script&gt;">a &lt; b &amp; c</p>'


def test_markup_is_kept() -> None:
    assert tag("p", tag("b", "x"), Markup("&shy;")) == "<p><b>x</b>&shy;</p>"
    assert join(["<", tag("i", 1)]) == "&lt;<i>1</i>"


def test_attribute_names() -> None:
    assert tag("td", class_="x", aria_label="y", id=None) == '<td class="x" aria-label="y"></td>'
    assert tag("meta", charset="utf-8") == '<meta charset="utf-8">'


def test_none_is_left_out() -> None:
    assert tag("p", None, 0) == "<p>0</p>"


def test_what_is_missing_goes_into_the_run_at_hand() -> None:
    for run, command in (("runs/default", "eval"), ("runs/a", "eval --run runs/a")):
        note = missing("No results", "attnreplace eval", Path(run))
        assert f"<code>attnreplace {command}</code>" in note
