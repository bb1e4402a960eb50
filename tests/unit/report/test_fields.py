import pytest

from attnreplace.errors import UserError
from attnreplace.report.fields import Fields


@pytest.fixture
def fields() -> Fields:
    value = {"a": {"b": 3, "c": 0.5, "nan": float("nan"), "flag": True, "none": None}}
    return Fields(value, "file.json")


def test_reads_nested_values(fields: Fields) -> None:
    assert fields.need(int, "a", "b") == 3
    assert fields.number("a", "c") == 0.5
    assert fields.may(str, "a", "none") is None
    assert fields.may_number("x", "y") is None
    assert Fields({"e": {"x.1": 2}}, "f").numbers("e") == {"x.1": 2}


def test_a_bool_is_not_a_number(fields: Fields) -> None:
    with pytest.raises(UserError, match=r"a\.flag is True, not of type int"):
        fields.may(int, "a", "flag")
    with pytest.raises(UserError, match=r"a\.flag is True, not a number"):
        fields.number("a", "flag")


def test_errors_name_file_and_field(fields: Fields) -> None:
    with pytest.raises(UserError, match=r"file\.json: a\.z is missing; .* repeat the stage"):
        fields.need(int, "a", "z")
    with pytest.raises(UserError, match=r"file\.json: a\.b is 3, not of type str"):
        fields.may(str, "a", "b")
    with pytest.raises(UserError, match=r"file\.json: a\.nan is nan, not a finite number"):
        fields.number("a", "nan")
    with pytest.raises(UserError, match=r"file\.json: no a\.b\.c in it"):
        fields.may(int, "a", "b", "c")
    with pytest.raises(UserError, match=r"file\.json: not a list"):
        fields.items()
