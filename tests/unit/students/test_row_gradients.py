"""Gradients by rows: the same numbers, whether they are taken as they come or gathered."""

import pytest
import torch
from torch import Tensor

from attnreplace.students import Student, StudentConfig, build_student, row_gradients
from attnreplace.students.row_gradients import Blocks, RowGradient, taker, taking
from attnreplace.students.row_linear import RowLinear


@pytest.fixture
def small_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that tiny weights are cut into blocks, with a smaller one at the end."""
    monkeypatch.setattr(row_gradients, "CACHED_VALUES", 70)
    monkeypatch.setattr(row_gradients, "ROUND", 2)


def network(groups: int, hidden_layers: int = 1) -> Student:
    """A student with more outputs than a batch has sentences."""
    torch.manual_seed(0)
    config = StudentConfig(
        family="shallow_ff",
        d_model=4,
        d_out=4,
        positions=6,
        hidden=7,
        groups=groups,
        hidden_layers=hidden_layers,
    )
    student = build_student(config).double()
    for parameter in student.parameters():
        torch.nn.init.normal_(parameter)
    return student


def loss(student: Student) -> Tensor:
    x = torch.randn(3, 5, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    return student.mix(x, None).square().sum()


def gradients(student: Student) -> dict[str, Tensor]:
    return {name: weight.grad for name, weight in student.named_parameters()}


@pytest.mark.parametrize(("groups", "hidden_layers"), [(1, 1), (2, 1), (1, 3)])
def test_blocks_give_the_gradient_of_the_whole(
    groups: int, hidden_layers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, cut = network(groups, hidden_layers), network(groups, hidden_layers)
    loss(whole).backward()
    monkeypatch.setattr(row_gradients, "CACHED_VALUES", 70)
    monkeypatch.setattr(row_gradients, "ROUND", 2)
    weight_in = cut.get_parameter("weight_in")
    assert len(Blocks(weight_in).all(weight_in)) > 2 * groups
    loss(cut).backward()
    for name, gradient in gradients(cut).items():
        torch.testing.assert_close(gradient, gradients(whole)[name], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("groups", "hidden_layers"), [(1, 1), (2, 1), (1, 3)])
def test_what_is_taken_is_the_gradient_and_is_nowhere_else(
    groups: int, hidden_layers: int, small_cache: None
) -> None:
    kept, taken = network(groups, hidden_layers), network(groups, hidden_layers)
    loss(kept).backward()
    names = {id(weight): name for name, weight in taken.named_parameters() if weight.dim() == 3}
    gathered = {
        name: torch.full_like(taken.get_parameter(name), torch.nan) for name in names.values()
    }

    def take(weight: Tensor, block: int, gradient: Tensor) -> None:
        cut = Blocks(weight)
        cut.all(gathered[names[id(weight)]])[block].copy_(gradient)
        cut.all(weight.detach())[block].fill_(torch.nan)  # its values are no longer needed

    with taking([p for p in taken.parameters() if p.dim() == 3], take):
        loss(taken).backward()
    for name, gradient in gradients(taken).items():
        assert (gradient is None) == (name in gathered)
        found = gathered[name] if gradient is None else gradient
        torch.testing.assert_close(found, gradients(kept)[name], rtol=0, atol=0)


def test_gradients_are_laid_out_as_weights(small_cache: None) -> None:
    student = network(2)
    loss(student).backward()
    assert all(gradient.is_contiguous() for gradient in gradients(student).values())


def test_nothing_is_taken_afterwards() -> None:
    weight = torch.zeros(1, 2, 3)
    with taking([weight], lambda *_: None):
        assert taker(weight)
    assert taker(weight) is None


def test_blocks_cover_every_row_once(small_cache: None) -> None:
    weight = torch.zeros(2, 13, 12)
    cut = Blocks(weight)
    blocks = cut.all(weight)
    for block in blocks:
        block += 1
    assert torch.equal(weight, torch.ones_like(weight))
    assert [len(block[0]) for block in blocks] == [4, 4, 4, 1] * 2
    for take in (None, lambda *_: None):
        gradient = RowGradient(weight, take)
        rooms = [room for groups in cut.groups for room in gradient.rooms(groups)]
        assert [room.shape for room in rooms] == [block.shape for block in blocks]


@pytest.mark.parametrize("rows", [1, 5, 9])
def test_first_rows_of_a_linear_layer(rows: int, small_cache: None) -> None:
    generator = torch.Generator().manual_seed(0)
    shapes = (2, 4, 12), (2, 9, 12), (2, 9)
    x, weight, bias = (
        torch.randn(shape, dtype=torch.float64, generator=generator, requires_grad=True)
        for shape in shapes
    )
    assert torch.autograd.gradcheck(
        lambda *tensors: RowLinear.apply(*tensors, rows, torch.float64, None), (x, weight, bias)
    )
    found = RowLinear.apply(x, weight, bias, rows, torch.float64, None)
    wanted = torch.einsum("gbc,grc->gbr", x, weight) + bias[:, None]
    torch.testing.assert_close(found, wanted[..., :rows])


@pytest.mark.parametrize("rows", [1, 5, 9])
def test_narrow_products_of_a_linear_layer(rows: int, small_cache: None) -> None:
    generator = torch.Generator().manual_seed(0)
    shapes = (2, 4, 12), (2, 9, 12), (2, 9)
    leaves = [torch.randn(shape, generator=generator, requires_grad=True) for shape in shapes]
    weights = torch.randn(2, 4, rows, generator=generator)
    found = RowLinear.apply(*leaves, rows, torch.bfloat16, None)
    wanted = RowLinear.apply(*leaves, rows, torch.float32, None)
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(found.float(), wanted, rtol=0.02, atol=0.1)
    narrow, wide = (torch.autograd.grad((out * weights).sum(), leaves) for out in (found, wanted))
    for gradient, exact in zip(narrow, wide, strict=True):
        assert gradient.dtype == torch.float32
        torch.testing.assert_close(gradient, exact, rtol=0.02, atol=0.1)
