"""Sizes and parameter counts of the specification, from modules built without memory."""

from fractions import Fraction

import pytest
import torch

from attnreplace.errors import UserError
from attnreplace.students import SIZES, StudentConfig, build_student, hidden_width

N, D, HEADS = 50, 128, 8

WHOLE = {
    "xs": (25, 339_275),
    "s": (50, 659_350),
    "m": (800, 10_261_600),
    "l": (3200, 40_988_800),
    "xl": (12800, 163_897_600),
}
PER_HEAD = {
    "xs": (200, 1_454_200),
    "s": (400, 2_894_800),
    "m": (800, 5_776_000),
    "l": (1600, 11_538_400),
    "xl": (1600, 11_538_400),
}
CROSS = {"xs": 50, "s": 100, "m": 1600, "l": 6400, "xl": 25600}


def built(config: StudentConfig) -> int:
    """Parameters of the module itself."""
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in build_student(config).parameters())


@pytest.mark.parametrize("size", SIZES)
def test_one_network(size: str) -> None:
    hidden, parameters = WHOLE[size]
    assert hidden_width(size, N * D) == hidden
    config = StudentConfig("shallow_ff", D, D, N, hidden)
    assert config.num_parameters() == built(config) == parameters


@pytest.mark.parametrize("size", SIZES)
def test_one_network_a_head(size: str) -> None:
    hidden, parameters = PER_HEAD[size]
    assert hidden_width(size, N * D, per_head=True) == hidden
    config = StudentConfig("shallow_ff", D, D, N, hidden, groups=HEADS)
    assert config.num_parameters() == built(config) == HEADS * parameters


@pytest.mark.parametrize("size", SIZES)
def test_width_of_two_inputs(size: str) -> None:
    """Cross-attention reads memory and target: twice the values, twice the width."""
    assert hidden_width(size, 2 * N * D) == CROSS[size]


def test_width_is_whole_and_at_least_one() -> None:
    assert hidden_width("xs", 12 * 16) == 1
    assert hidden_width("m", 100) == 12
    assert all(isinstance(share, Fraction) for shares in SIZES.values() for share in shares)


def test_unknown_size_lists_the_valid_ones() -> None:
    with pytest.raises(UserError, match=r"'xxl'; valid sizes: xs, s, m, l, xl"):
        hidden_width("xxl", 100)
