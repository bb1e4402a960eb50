"""Sites as text."""

import pytest

from attnreplace.errors import UserError
from attnreplace.hosts import Site


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
