import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from attnreplace.distill.objectives import (
    OBJECTIVES,
    TargetSpread,
    check_objective,
    get_objective,
    squared_error,
)
from attnreplace.errors import UserError


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
    output = torch.full((2, 512), 0.1, dtype=torch.bfloat16)
    error = squared_error(output, torch.zeros(2, 512))
    assert error.dtype == torch.float32
    assert error.item() == pytest.approx(1024 * float(output[0, 0]) ** 2, rel=1e-5)


VARIANCE = 0.49


def angles(output, target):
    lengths = output.norm(dim=1) * target.norm(dim=1)
    return (1 - (output * target).sum(1) / lengths).sum()


def huber(output, target):
    e = ((output - target) / VARIANCE**0.5).abs()
    return torch.where(e < 1, e**2 / 2, e - 0.5).sum()


PLAIN = {
    "mse": lambda output, target: ((output - target) ** 2).sum(),
    "normalised_mse": lambda output, target: ((output - target) ** 2 / VARIANCE).sum(),
    "cosine": angles,
    "l1": lambda output, target: (output - target).abs().sum(),
    "huber": huber,
}


@pytest.mark.parametrize("name", OBJECTIVES)
def test_objective_and_its_gradient_are_the_plain_formula(name):
    torch.manual_seed(0)
    target = torch.randn(7, 5, dtype=torch.float64)
    losses, gradients = [], []
    for formula in (OBJECTIVES[name].total, lambda o, t, v: PLAIN[name](o, t)):
        torch.manual_seed(1)
        output = (target + torch.randn(7, 5, dtype=torch.float64)).requires_grad_()
        losses.append(formula(output, target, VARIANCE))
        losses[-1].backward()
        gradients.append(output.grad)
    torch.testing.assert_close(*losses, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(*gradients, rtol=1e-10, atol=1e-10)
    assert OBJECTIVES[name].terms(7, 5) == (7 if name == "cosine" else 35)


def test_auto_is_the_recipes_own():
    assert get_objective("auto", "modern") is OBJECTIVES["normalised_mse"]
    assert get_objective("auto", "paper") is OBJECTIVES["mse"]
    assert get_objective("l1", "paper") is OBJECTIVES["l1"]
    with pytest.raises(UserError, match="unknown objective 'mae'; valid: auto, mse, norm"):
        check_objective("mae")
