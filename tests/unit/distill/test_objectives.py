import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from attnreplace.distill.objectives import TargetSpread, squared_error


@given(st.lists(st.integers(1, 7), min_size=1, max_size=5), st.floats(-1e4, 1e4))
def test_spread_is_the_error_of_the_best_constant(sizes, offset):
    torch.manual_seed(0)
    rows = torch.randn(sum(sizes), 3, dtype=torch.float64) + offset
    spread = TargetSpread()
    for part in rows.split(sizes):
        spread.add(part)
    expected = (rows - rows.mean(0)).square().sum().item()
    assert spread.total == pytest.approx(expected, rel=1e-9, abs=1e-9)
    assert spread.count == len(rows)


def test_squared_error_is_summed_in_float32():
    output = torch.full((1, 2, 512), 0.1, dtype=torch.bfloat16)
    error = squared_error(output, torch.zeros(1, 2, 512))
    assert error.dtype == torch.float32
    assert error.item() == pytest.approx(1024 * float(output[0, 0, 0]) ** 2, rel=1e-5)
