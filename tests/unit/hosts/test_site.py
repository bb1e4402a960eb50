"""Sites and layers as text."""

import pytest

from attnreplace.errors import UserError
from attnreplace.hosts import GROUPS, Site, format_layers, parse_layers


@pytest.mark.parametrize("text", ["encoder.self.0", "decoder.self.11", "decoder.cross.3"])
def test_text_and_back(text: str) -> None:
    assert str(Site.parse(text)) == text


def test_order_is_numeric() -> None:
    assert Site.parse("encoder.self.2") < Site.parse("encoder.self.10")


@pytest.mark.parametrize(
    "text", ["", "encoder", "encoder.self", "encoder.self.", "encoder.self.-1", "tower.self.0",
             "encoder.both.0", "encoder.self.0.1", "encoder.self.²"],
)  # fmt: skip
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(UserError, match=r"write it as encoder\.self\.0"):
        Site.parse(text)


def test_groups() -> None:
    sites = ["encoder.self.0", "decoder.self.1", "decoder.cross.2"]
    assert tuple(Site.parse(site).group for site in sites) == GROUPS


@pytest.mark.parametrize(
    ("text", "layers"),
    [("", [0, 1, 2, 3, 4, 5]), ("0,2-5", [0, 2, 3, 4, 5]), (" 3 , 1 - 3", [1, 2, 3]), ("5", [5])],
)
def test_layers(text: str, layers: list[int]) -> None:
    assert parse_layers(text, 6) == layers
    assert parse_layers(format_layers(layers), 6) == layers


def test_layers_as_text() -> None:
    assert format_layers([5, 0, 3, 4, 2, 0]) == "0,2-5"
    assert format_layers([1, 0, 3]) == "0-1,3"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("6", "no layer 6; choose from 0 to 5"),
        ("4-99999999999", "no layer 99999999999"),
        ("3-2", "'3-2' runs backwards"),
        *((text, "write it as 0,2-5") for text in ["a", "1,", "-1", "1-", "1.2", "1-2-3", "²"]),
    ],
)
def test_layers_that_are_none(text: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        parse_layers(text, 6)
