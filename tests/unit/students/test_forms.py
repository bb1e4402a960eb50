"""Every form of the shallow networks against its definition, in float64."""

import copy
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from attnreplace.errors import SequenceTooLong
from attnreplace.students import (
    CROSS_FORMS,
    FORMS,
    ShallowFF,
    StudentConfig,
    build_student,
    input_width,
)

Make = Callable[..., ShallowFF]
Draw = Callable[..., dict[str, Tensor]]
Naive = Callable[..., Tensor]

every_form = pytest.mark.parametrize("form", FORMS)
per_position = pytest.mark.parametrize("form", ["prefix", "per-query"])
cross = pytest.mark.parametrize("form", CROSS_FORMS)

LENGTHS = [([3], [2]), ([5, 2, 1], [1, 7, 4]), ([7, 7], [7, 7]), ([7, 3, 0], [2, 0, 5])]


def gradients(student: ShallowFF, out: Tensor, inputs: dict[str, Tensor]) -> tuple[Tensor, ...]:
    """Gradients of a weighted sum of the output, for all inputs and all parameters."""
    weights = torch.randn(out.shape, generator=torch.Generator().manual_seed(2)).double()
    sources = [inputs[name] for name in ("x", "memory") if name in inputs]
    return torch.autograd.grad((out * weights).sum(), [*sources, *student.parameters()])


def need_gradients(inputs: dict[str, Tensor]) -> dict[str, Tensor]:
    for name in inputs.keys() & {"x", "memory"}:
        inputs[name].requires_grad_()
    return inputs


@every_form
@pytest.mark.parametrize(
    ("hidden_layers", "groups", "d_out"), [(1, 1, 4), (1, 1, 2), (1, 2, 4), (2, 1, 4), (3, 2, 4)]
)
@pytest.mark.parametrize(("lengths", "sources"), LENGTHS, ids=str)
@pytest.mark.parametrize("means", [(0, 0), (1e3, 1e3), (1e3, 0)], ids=str)
def test_equals_naive(
    form: str,
    hidden_layers: int,
    groups: int,
    d_out: int,
    lengths: list[int],
    sources: list[int],
    means: tuple[float, float],
    make: Make,
    draw: Draw,
    naive: Naive,
) -> None:
    student = make(form, groups, hidden_layers, d_out)
    inputs = need_gradients(draw(form, lengths, sources, means))
    fast, slow = student(**inputs), naive(student, **inputs)
    torch.testing.assert_close(fast, slow, atol=1e-10, rtol=0)
    assert slow.abs().max() > 0.1
    expected = gradients(student, slow, inputs)
    for got, want in zip(gradients(student, fast, inputs), expected, strict=True):
        torch.testing.assert_close(got, want, atol=1e-10, rtol=1e-9)
        assert want.abs().max() > 0


masks = st.lists(st.lists(st.booleans(), min_size=5, max_size=5), min_size=2, max_size=2)


@every_form
@settings(max_examples=25, deadline=None)
@given(rows=masks, source_rows=masks)
def test_equals_naive_for_any_mask(
    form: str,
    rows: list[list[bool]],
    source_rows: list[list[bool]],
    make: Make,
    draw: Draw,
    naive: Naive,
) -> None:
    student = make(form, 2)
    inputs = need_gradients(draw(form, [5, 5], [5, 5]))
    inputs["mask"] = torch.tensor(rows)
    if "memory_mask" in inputs:
        inputs["memory_mask"] = torch.tensor(source_rows)
    fast, slow = student(**inputs), naive(student, **inputs)
    torch.testing.assert_close(fast, slow, atol=1e-10, rtol=0)
    expected = gradients(student, slow, inputs)
    torch.testing.assert_close(gradients(student, fast, inputs), expected, atol=1e-10, rtol=1e-9)


@every_form
def test_every_combination_of_needed_gradients(form: str, make: Make, draw: Draw) -> None:
    inputs = draw(form, [5, 2], [3, 6])
    student = make(form, 2, 2)
    student(**inputs).square().sum().backward()
    full = {name: parameter.grad for name, parameter in student.named_parameters()}
    for trained in full:
        student = make(form, 2, 2).requires_grad_(False)
        student.get_parameter(trained).requires_grad_()
        student(**inputs).square().sum().backward()
        for name, parameter in student.named_parameters():
            assert (parameter.grad is None) == (name != trained)
        torch.testing.assert_close(student.get_parameter(trained).grad, full[trained])


@every_form
def test_padding_is_neither_read_nor_written(form: str, make: Make, draw: Draw) -> None:
    student = make(form)
    inputs = draw(form, [5, 2], [3, 6])
    clean = student(**inputs)
    inputs["x"][~inputs["mask"]] = float("nan")
    if "memory" in inputs:
        inputs["memory"][~inputs["memory_mask"]] = float("nan")
    need_gradients(inputs)
    out = student(**inputs)
    assert torch.equal(out, clean)
    assert (out[~inputs["mask"]] == 0).all()
    out.square().sum().backward()
    assert (inputs["x"].grad[~inputs["mask"]] == 0).all()
    assert (inputs["x"].grad[inputs["mask"]] != 0).all()
    if "memory" in inputs:
        assert (inputs["memory"].grad[~inputs["memory_mask"]] == 0).all()
        assert (inputs["memory"].grad[inputs["memory_mask"]] != 0).all()
    for parameter in student.parameters():
        assert parameter.grad.isfinite().all()


@every_form
@pytest.mark.parametrize("frozen", [True, False])
def test_neither_padding_nor_other_sentences_matter(
    form: str, frozen: bool, make: Make, draw: Draw
) -> None:
    """In float32, with means that a difference of moments would not survive."""
    student = make(form, 2).float().requires_grad_(not frozen)
    inputs = draw(form, [2, 7, 4], [6, 3, 7], (1e2, 1e2))
    inputs = {name: x.float() if x.is_floating_point() else x for name, x in inputs.items()}
    together = student(**inputs)
    for row in range(3):
        alone = {name: x[row : row + 1] for name, x in inputs.items()}
        alone["x"], alone["mask"] = (alone[name][:, inputs["mask"][row]] for name in ("x", "mask"))
        if "memory" in alone:
            real = inputs["memory_mask"][row]
            alone["memory"] = alone["memory"][:, real]
            alone["memory_mask"] = alone["memory_mask"][:, real]
        got = student(**alone)[0]
        torch.testing.assert_close(got, together[row, : len(got)], atol=1e-5, rtol=1e-5)


@per_position
@pytest.mark.parametrize("frozen", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("autocast", [False, True])
def test_no_output_bit_depends_on_a_later_token(
    form: str, frozen: bool, dtype: torch.dtype, autocast: bool, make: Make, draw: Draw
) -> None:
    student = make(form, 2, 2).to(dtype).requires_grad_(not frozen)
    inputs = draw(form, [7, 7, 7], [5, 7, 2])
    inputs |= {name: inputs[name].to(dtype) for name in inputs.keys() & {"x", "memory"}}
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        before = student(**inputs)
        for position in range(1, 7):
            for value in (1e4, float("nan"), float("inf")):
                changed = inputs | {"x": inputs["x"].clone()}
                changed["x"][:, position:] = value
                after = student(**changed)
                assert torch.equal(after[:, :position], before[:, :position])
                assert not torch.equal(after[:, position], before[:, position])


def test_the_papers_form_is_not_causal(make: Make, draw: Draw) -> None:
    student = make("paper")
    inputs = draw("paper", [7], [5])
    before = student(**inputs)
    inputs["x"][:, 6] += 1
    assert (student(**inputs)[:, 0] != before[:, 0]).all()


@every_form
@pytest.mark.parametrize("frozen", [True, False])
@pytest.mark.parametrize("means", [(1e4, 1e4), (1e4, 0), (0, 1e4)], ids=str)
def test_large_mean_costs_no_digits_in_float32(
    form: str,
    frozen: bool,
    means: tuple[float, float],
    make: Make,
    draw: Draw,
    naive: Naive,
) -> None:
    """Half a unit in the last place of 1e4 is 5e-4, beside a standard deviation of 2."""
    student = make(form, 2)
    inputs = draw(form, [7, 7], [7, 7], means)
    inputs |= {name: inputs[name].float().double() for name in inputs.keys() & {"x", "memory"}}
    want = naive(student, **inputs)
    inputs |= {name: inputs[name].float() for name in inputs.keys() & {"x", "memory"}}
    got = student.float().requires_grad_(not frozen)(**inputs)
    torch.testing.assert_close(got.double(), want, atol=5e-3, rtol=0)


@every_form
@pytest.mark.parametrize("frozen", [True, False])
def test_moments_keep_float32_under_autocast(
    form: str, frozen: bool, make: Make, draw: Draw, naive: Naive
) -> None:
    student = make(form, 2, 2)
    inputs = draw(form, [7, 5], [6, 7], (1e2, 1e2))
    want = naive(student, **inputs)
    inputs |= {name: inputs[name].float() for name in inputs.keys() & {"x", "memory"}}
    student = student.float().requires_grad_(not frozen)
    with torch.autocast("cpu", torch.bfloat16):
        got = student(**inputs)
    assert got.dtype == torch.float32
    relative = (got - want).norm() / want.norm()
    assert 1e-4 < relative < 4e-2  # the products are in bfloat16, and nothing worse
    if not frozen:
        exact = make(form, 2, 2)
        naive(exact, **draw(form, [7, 5], [6, 7], (1e2, 1e2))).sum().backward()
        got.sum().backward()
        for name, parameter in student.named_parameters():
            assert parameter.grad is not None
            assert parameter.grad.dtype == torch.float32
            reference = exact.get_parameter(name).grad
            assert (parameter.grad - reference).norm() / reference.norm() < 0.1, name


@every_form
def test_bfloat16_parameters(form: str, make: Make, draw: Draw, naive: Naive) -> None:
    student = make(form, 2)
    inputs = draw(form, [7, 5], [6, 7])
    want = naive(student, **inputs)
    for name in inputs.keys() & {"x", "memory"}:
        inputs[name] = inputs[name].bfloat16()
    got = student.bfloat16().requires_grad_(False)(**inputs)
    assert got.dtype == torch.bfloat16
    assert (got - want).norm() / want.norm() < 4e-2


@every_form
@pytest.mark.parametrize("groups", [1, 2])
def test_frozen_equals_trainable(
    form: str, groups: int, make: Make, draw: Draw, naive: Naive
) -> None:
    """What a frozen student keeps from call to call never shows, whatever becomes of it."""
    student = make(form, groups).requires_grad_(False)

    def check(student: ShallowFF) -> None:
        for lengths, sources in LENGTHS:
            inputs = need_gradients(draw(form, lengths, sources))
            first, again, slow = student(**inputs), student(**inputs), naive(student, **inputs)
            assert torch.equal(first, again)
            torch.testing.assert_close(first, slow, atol=1e-10, rtol=0)
            for name in inputs.keys() & {"x", "memory"}:
                got, want = (
                    torch.autograd.grad(out.square().sum(), inputs[name], retain_graph=True)[0]
                    for out in (first, slow)
                )
                torch.testing.assert_close(got, want, atol=1e-10, rtol=1e-9)

    check(student)
    student.load_state_dict(make(form, groups, d_out=4).float().state_dict())
    check(student)
    student.norm_in_bias.mul_(2)
    check(student)
    other = copy.deepcopy(student)
    other.weight_in.mul_(2)
    check(other)
    student.load_state_dict(other.state_dict(), assign=True)
    check(student)


@every_form
def test_inference_mode(form: str, make: Make, draw: Draw, naive: Naive) -> None:
    inputs = draw(form, [3, 1], [2, 4])
    student = make(form, 2, 2).requires_grad_(False)
    want = naive(student, **inputs)
    with torch.inference_mode():
        inside = student(**inputs)
        made_there = copy.deepcopy(student)(**inputs)
    for got in (inside, made_there, student(**inputs)):
        torch.testing.assert_close(got, want, atol=1e-10, rtol=0)


def test_a_query_may_be_at_any_position(make: Make, draw: Draw, naive: Naive) -> None:
    student, inputs = make("per-query"), draw("per-query", [9], [7])
    torch.testing.assert_close(
        student(**inputs)[:, 8:],
        student(**inputs | {"x": inputs["x"][:, 8:], "mask": inputs["mask"][:, 8:]}),
    )


@pytest.mark.parametrize("form", [form for form in FORMS if form != "per-query"])
def test_too_long_is_one_clear_line(form: str, make: Make, draw: Draw) -> None:
    student = make(form)
    with pytest.raises(SequenceTooLong, match=r"8 tokens .* 7 positions") as error:
        student(**draw(form, [8], [7]))
    assert "\n" not in str(error.value)


@cross
def test_too_long_a_memory(form: str, make: Make, draw: Draw) -> None:
    with pytest.raises(SequenceTooLong, match=r"8 tokens .* 7 positions"):
        make(form)(**draw(form, [7], [8]))


@cross
def test_no_memory_is_refused(form: str, make: Make, draw: Draw) -> None:
    inputs = draw("sentence", [3], [])
    with pytest.raises(TypeError, match="memory"):
        make(form)(**inputs)


@every_form
def test_drawn_as_the_linear_layers_of_torch(form: str) -> None:
    """Every linear layer within 1 / sqrt(fan-in), the first one's fan-in over all it reads."""
    torch.manual_seed(0)
    student = build_student(StudentConfig("shallow_ff", 16, 16, 10, 100, 2, form, 2))
    bounds = {"in": input_width(form, 10, 16) ** -0.5, "deep": 0.1, "out": 0.1}
    bounds["memory"] = bounds["in"]
    for name, parameter in student.named_parameters():
        if name.startswith("norm"):
            assert (parameter == (1 if "weight" in name else 0)).all()
            continue
        bound = bounds[name.split(".")[0].split("_")[1]]
        assert parameter.abs().max().item() == pytest.approx(bound, rel=0.1)
        assert parameter.std().item() == pytest.approx(bound / 3**0.5, rel=0.2)
        assert not torch.equal(parameter[0], parameter[1])
