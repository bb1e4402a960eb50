"""The fast form of the paper's student against the naive one, in float64."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from attnreplace.errors import SequenceTooLong
from attnreplace.students import ShallowFF, StudentConfig, build_student

POSITIONS, D_MODEL = 7, 4


def naive(student: ShallowFF, x: Tensor, mask: Tensor) -> Tensor:
    """The definition: zero padding to all positions, one network after another, all in full."""
    config = student.config
    batch, seq, d_model = x.shape
    x = F.pad(x * mask[..., None], (0, 0, 0, config.positions - seq))
    flat = x.reshape(batch, config.positions * d_model)
    heads = []
    for g in range(config.groups):
        p = {name: parameter[g] for name, parameter in student.named_parameters()}
        hidden = F.layer_norm(flat, flat.shape[1:], p["norm_in_weight"], p["norm_in_bias"])
        hidden = F.leaky_relu(F.linear(hidden, p["weight_in"], p["bias_in"]), 0.01)
        hidden = F.layer_norm(
            hidden, hidden.shape[1:], p["norm_hidden_weight"], p["norm_hidden_bias"]
        )
        out = F.linear(hidden, p["weight_out"], p["bias_out"])
        heads.append(out.view(batch, config.positions, -1))
    return torch.cat(heads, -1)[:, :seq] * mask[..., None]


def make_student(
    groups: int = 1, hidden: int = 6, d_out: int = D_MODEL, dtype: torch.dtype = torch.float64
) -> ShallowFF:
    """A seeded student in which no parameter has a special value."""
    torch.manual_seed(0)
    student = build_student(
        StudentConfig("shallow_ff", D_MODEL, d_out, POSITIONS, hidden, groups)
    ).to(dtype)
    assert isinstance(student, ShallowFF)
    with torch.no_grad():
        for parameter in student.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.3)
    return student


def make_batch(lengths: list[int], offset: float = 0.0) -> tuple[Tensor, Tensor]:
    """Seeded input `(batch, longest, d_model)` and its mask."""
    generator = torch.Generator().manual_seed(1)
    mask = torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]
    shape = (*mask.shape, D_MODEL)
    x = torch.randn(shape, generator=generator, dtype=torch.float64) * 2 + 0.5 + offset
    return x, mask


def gradients(student: ShallowFF, out: Tensor, x: Tensor, weights: Tensor) -> tuple[Tensor, ...]:
    """Gradients of a weighted sum of the output, for the input and all parameters."""
    return torch.autograd.grad((out * weights).sum(), [x, *student.parameters()])


@pytest.mark.parametrize(("groups", "d_out"), [(1, 4), (1, 2), (2, 4), (4, 4)])
@pytest.mark.parametrize(
    "lengths", [[3], [5, 2, 1], [7, 7], [7, 3, 0], [1]], ids=lambda lengths: f"lengths{lengths}"
)
@pytest.mark.parametrize("offset", [0.0, 1e3])
def test_equals_naive(groups: int, d_out: int, lengths: list[int], offset: float) -> None:
    student = make_student(groups, d_out=d_out)
    x, mask = make_batch(lengths, offset)
    x.requires_grad_()
    fast, slow = student(x, mask), naive(student, x, mask)
    weights = torch.randn_like(slow)
    torch.testing.assert_close(fast, slow, atol=1e-10, rtol=0)
    assert slow.abs().max() > 0.1
    expected = gradients(student, slow, x, weights)
    for got, want in zip(gradients(student, fast, x, weights), expected, strict=True):
        torch.testing.assert_close(got, want, atol=1e-10, rtol=1e-10)
        assert want.abs().max() > 0


@settings(max_examples=40, deadline=None)
@given(st.lists(st.lists(st.booleans(), min_size=5, max_size=5), min_size=1, max_size=4))
def test_equals_naive_for_any_mask(rows: list[list[bool]]) -> None:
    student, mask = make_student(2), torch.tensor(rows)
    x = make_batch([5] * len(rows))[0].requires_grad_()
    fast, slow = student(x, mask), naive(student, x, mask)
    torch.testing.assert_close(fast, slow, atol=1e-10, rtol=0)
    weights = torch.randn_like(slow)
    expected = gradients(student, slow, x, weights)
    torch.testing.assert_close(
        gradients(student, fast, x, weights), expected, atol=1e-10, rtol=1e-10
    )


def test_input_without_gradient_and_frozen_parameters() -> None:
    """Every combination of needed gradients gives those that the full computation gives."""
    x, mask = make_batch([5, 2])
    student = make_student()
    student(x, mask).square().sum().backward()
    full = {name: parameter.grad for name, parameter in student.named_parameters()}
    for trained in ("weight_in", "norm_in_weight", "norm_in_bias", "bias_in", "weight_out"):
        student = make_student().requires_grad_(False)
        student.get_parameter(trained).requires_grad_()
        student(x, mask).square().sum().backward()
        for name, parameter in student.named_parameters():
            assert (parameter.grad is None) == (name != trained)
        torch.testing.assert_close(student.get_parameter(trained).grad, full[trained])


def test_padding_is_neither_read_nor_written() -> None:
    student = make_student()
    x, mask = make_batch([5, 2])
    clean = student(x, mask)
    x[~mask] = float("nan")
    x.requires_grad_()
    out = student(x, mask)
    assert torch.equal(out, clean)
    assert (out[~mask] == 0).all()
    (gradient,) = torch.autograd.grad(out.square().sum(), x)
    assert (gradient[~mask] == 0).all()
    assert (gradient[mask] != 0).all()


def test_large_mean_costs_no_digits_in_float32() -> None:
    """With E[x^2] - E[x]^2 in float32 nothing of a variance of 4 beside a mean of 1e4 is left."""
    student = make_student()
    x, mask = make_batch([7, 7], offset=1e4)
    x = x.float().double()
    want = naive(student, x, mask)
    got = student.float()(x.float(), mask)
    torch.testing.assert_close(got.double(), want, atol=5e-3, rtol=0)


@pytest.mark.parametrize("frozen", [True, False])
def test_moments_keep_float32_under_autocast(frozen: bool) -> None:
    """bfloat16 has 8 bits: a mean of 1e3 leaves none for the differences between tokens."""
    student = make_student()
    x, mask = make_batch([7, 5], offset=1e3)
    x = x.float().double()
    want = naive(student, x, mask)
    student = student.float().requires_grad_(not frozen)
    with torch.autocast("cpu", torch.bfloat16):
        got = student(x.float(), mask)
    assert got.dtype == torch.float32
    relative = (got - want).norm() / want.norm()
    assert 1e-4 < relative < 3e-2  # the products are in bfloat16, and nothing worse
    if not frozen:
        got.sum().backward()
        assert student.weight_in.grad is not None
        assert student.weight_in.grad.dtype == torch.float32


def test_bfloat16_parameters() -> None:
    student = make_student()
    x, mask = make_batch([7, 5], offset=1e3)
    want = naive(student, x, mask)
    got = student.bfloat16()(x.float(), mask)
    assert got.dtype == torch.float32
    assert (got - want).norm() / want.norm() < 3e-2


@pytest.mark.parametrize("groups", [1, 2])
def test_frozen_equals_trainable(groups: int) -> None:
    """What a frozen student keeps from call to call never shows, whatever becomes of it."""
    student = make_student(groups).requires_grad_(False)
    batches = [make_batch(lengths) for lengths in ([3, 1], [7], [5, 5])]

    def check(student: ShallowFF) -> None:
        for x, mask in batches:
            x.requires_grad_()
            first, again, slow = student(x, mask), student(x, mask), naive(student, x, mask)
            assert torch.equal(first, again)
            torch.testing.assert_close(first, slow, atol=1e-10, rtol=0)
            got, want = (torch.autograd.grad(out.square().sum(), x)[0] for out in (first, slow))
            torch.testing.assert_close(got, want, atol=1e-10, rtol=1e-10)

    check(student)
    student.load_state_dict(make_student(groups, dtype=torch.float32).state_dict())
    check(student)
    student.norm_in_bias.mul_(2)
    check(student)
    other = copy.deepcopy(student)
    other.weight_in.mul_(2)
    check(other)
    student.load_state_dict(other.state_dict(), assign=True)
    check(student)
    check(student.float().double())


def test_no_stale_sums_after_any_optimiser() -> None:
    student = make_student().eval()
    x, mask = make_batch([3, 1])
    for options in ({"foreach": False}, {"foreach": True}, {"fused": True}):
        out = student(x, mask)
        with torch.no_grad():
            student(x, mask)
        out.square().sum().backward()
        torch.optim.AdamW(student.parameters(), lr=0.1, **options).step()
        student.zero_grad()
        with torch.no_grad():
            torch.testing.assert_close(
                student(x, mask), naive(student, x, mask), atol=1e-10, rtol=0
            )


@pytest.mark.parametrize("frozen", [True, False])
def test_inference_mode(frozen: bool) -> None:
    x, mask = make_batch([3, 1])
    student = make_student().requires_grad_(not frozen)
    want = naive(student, x, mask).detach()
    with torch.inference_mode():
        inside = student(x, mask)
        made_there = copy.deepcopy(student)(x, mask)
    for got in (inside, made_there, student(x, mask).detach()):
        torch.testing.assert_close(got, want, atol=1e-10, rtol=0)


def test_too_long_is_one_clear_line() -> None:
    student = make_student()
    x, mask = make_batch([POSITIONS + 1])
    with pytest.raises(SequenceTooLong, match=r"8 tokens .* 7 positions") as error:
        student(x, mask)
    assert "\n" not in str(error.value)


def test_drawn_as_the_linear_layers_of_torch() -> None:
    """Uniform within 1 / sqrt(fan-in), weight and bias, every group; norms are the identity."""
    torch.manual_seed(0)
    student = build_student(StudentConfig("shallow_ff", 16, 16, 10, 200, groups=2))
    reference = torch.nn.Linear(160, 200)
    for group in range(2):
        for got, want in (
            (student.weight_in[group], reference.weight),
            (student.bias_in[group], reference.bias),
        ):
            assert got.shape == want.shape
            assert got.abs().max().item() == pytest.approx(160**-0.5, rel=0.02)
            assert got.std().item() == pytest.approx(want.std().item(), rel=0.1)
    assert student.weight_out.abs().max().item() == pytest.approx(200**-0.5, rel=0.02)
    assert student.bias_out.abs().max().item() == pytest.approx(200**-0.5, rel=0.05)
    assert not torch.equal(student.weight_in[0], student.weight_in[1])
    for name in ("norm_in", "norm_hidden"):
        assert (student.get_parameter(f"{name}_weight") == 1).all()
        assert (student.get_parameter(f"{name}_bias") == 0).all()
