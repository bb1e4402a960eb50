import pytest
from hypothesis import given
from hypothesis import strategies as st

from attnreplace.distill.shares import Share
from attnreplace.errors import UserError


@given(st.lists(st.integers(0, 1000), max_size=30), st.integers(1, 6))
def test_shares_are_disjoint_whole_and_balanced(sizes, count):
    keyed = dict(enumerate(sizes))
    shares = [Share(index + 1, count).of(keyed) for index in range(count)]
    assert sorted(key for share in shares for key in share) == list(keyed)
    assert all(share == sorted(share) for share in shares)
    loads = [sum(keyed[key] for key in share) for share in shares]
    assert max(loads) - min(loads) <= max(sizes, default=0)


def test_one_large_student_weighs_as_much_as_many_small_ones():
    sizes = {"large": 10, "a": 3, "b": 3, "c": 3}
    assert Share(1, 2).of(sizes) == ["large"]
    assert Share(2, 2).of(sizes) == ["a", "b", "c"]


def test_as_text():
    assert Share.parse("2/8") == Share(2, 8) and str(Share(2, 8)) == "2/8"


@pytest.mark.parametrize("text", ["2", "a/8", "/8", "2/", "2/8/9", "-1/8", "1/0"])
def test_not_a_share(text):
    with pytest.raises(UserError, match="a part is written as 2/8, the second of eight"):
        Share.parse(text)


@pytest.mark.parametrize("text", ["0/8", "9/8"])
def test_no_such_share(text):
    with pytest.raises(UserError, match=f"no part {text}; with 8 parts they are 1/8 to 8/8"):
        Share.parse(text)
