"""Step by step gives what the whole gives, from a state that does not grow."""

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from attnreplace.errors import SequenceTooLong
from attnreplace.students import ShallowFF, State

Make = Callable[..., ShallowFF]
Draw = Callable[..., dict[str, Tensor]]

SPLITS = [[7], [1] * 7, [3, 1, 1, 1, 1], [1, 6], [2, 3, 2]]

tolerances = pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 1e-5)], ids=str
)
frozen_or_not = pytest.mark.parametrize("frozen", [True, False])


def decode(student: ShallowFF, x: Tensor, split: list[int]) -> tuple[Tensor, list[State]]:
    """The outputs of all steps, and the state after each."""
    state, outputs, states, start = None, [], [], 0
    for new in split:
        out, state = student.decode(x[:, start : start + new], state, start)
        outputs.append(out)
        states.append(state)
        start += new
    return torch.cat(outputs, 1), states


def close(got: Tensor, want: Tensor, tolerance: float) -> None:
    torch.testing.assert_close(got, want, atol=tolerance, rtol=tolerance)


@pytest.mark.parametrize("split", SPLITS, ids=str)
@pytest.mark.parametrize(("groups", "hidden_layers"), [(1, 1), (2, 2)])
@tolerances
@frozen_or_not
@pytest.mark.parametrize("mean", [0, 100])
def test_prefix_decodes_from_any_split(
    split: list[int],
    groups: int,
    hidden_layers: int,
    dtype: torch.dtype,
    tolerance: float,
    frozen: bool,
    mean: float,
    make: Make,
    draw: Draw,
) -> None:
    student = make("prefix", groups, hidden_layers).to(dtype).requires_grad_(not frozen)
    inputs = draw("prefix", [7, 7, 7], [], (mean, 0))
    x = inputs["x"].to(dtype)
    got, states = decode(student, x, split)
    assert got.dtype == dtype
    close(got, student(x, inputs["mask"]), tolerance)
    sizes = {tuple(tensor.shape for tensor in state) for state in states}
    assert sizes == {((3, groups, 6), (3,), (3, 2))}


@tolerances
def test_prefix_states_are_rows(
    dtype: torch.dtype, tolerance: float, make: Make, draw: Draw
) -> None:
    """A beam search repeats and reorders the rows of a state without knowing what they are."""
    student = make("prefix", 2).to(dtype).requires_grad_(False)
    x = draw("prefix", [7, 7, 7], [])["x"].to(dtype)
    _, (state, *_) = decode(student, x, [4, 3])
    rows = torch.tensor([2, 0, 0, 1, 2])
    state = tuple(tensor.index_select(0, rows) for tensor in state)
    got, _ = student.decode(x[rows, 4:], state, 4)
    want = student(x, torch.ones(3, 7, dtype=torch.bool))[rows, 4:]
    close(got, want, tolerance)


def test_a_state_stays_as_it_was(make: Make, draw: Draw) -> None:
    """Two continuations of one state, as in contrastive or speculative decoding."""
    student = make("prefix", 2).requires_grad_(False)
    x = draw("prefix", [7], [])["x"]
    _, state = student.decode(x[:, :3], None, 0)
    kept = tuple(tensor.clone() for tensor in state)
    first, _ = student.decode(x[:, 3:], state, 3)
    again, _ = student.decode(x[:, 3:], state, 3)
    assert torch.equal(first, again)
    assert all(torch.equal(one, other) for one, other in zip(state, kept, strict=True))


def test_a_state_holds_no_more_than_itself(make: Make, draw: Draw) -> None:
    """Not a view of what all positions had, which it would keep in memory."""
    _, state = make("prefix").requires_grad_(False).decode(draw("prefix", [7], [])["x"], None, 0)
    for tensor in state:
        assert tensor.untyped_storage().nbytes() == tensor.numel() * tensor.element_size()


def test_prefix_decoding_has_the_gradients_of_forward(make: Make, draw: Draw) -> None:
    student = make("prefix", 2)
    inputs = draw("prefix", [7, 7], [])
    results = []
    for split in ([7], [3, 1, 3]):
        x = inputs["x"].clone().requires_grad_()
        decode(student, x, split)[0].square().sum().backward()
        results.append([x.grad, *(parameter.grad for parameter in student.parameters())])
        student.zero_grad()
    torch.testing.assert_close(results[0], results[1], atol=1e-10, rtol=1e-9)


def test_prefix_decodes_no_further_than_its_positions(make: Make, draw: Draw) -> None:
    student = make("prefix").requires_grad_(False)
    x = draw("prefix", [7], [])["x"]
    _, state = student.decode(x, None, 0)
    with pytest.raises(SequenceTooLong, match="8 tokens"):
        student.decode(x[:, :1], state, 7)


@pytest.mark.parametrize("split", SPLITS, ids=str)
@pytest.mark.parametrize(("groups", "hidden_layers"), [(1, 1), (2, 2)])
@tolerances
@frozen_or_not
def test_per_query_answers_as_forward(
    split: list[int],
    groups: int,
    hidden_layers: int,
    dtype: torch.dtype,
    tolerance: float,
    frozen: bool,
    make: Make,
    draw: Draw,
) -> None:
    student = make("per-query", groups, hidden_layers).to(dtype).requires_grad_(not frozen)
    inputs = draw("per-query", [7, 7, 7], [3, 7, 5], (10, 10))
    x, memory = inputs["x"].to(dtype), inputs["memory"].to(dtype)
    memory[~inputs["memory_mask"]] = float("nan")
    share = student.read_memory(memory, inputs["memory_mask"])
    assert [tuple(tensor.shape) for tensor in share] == [(3, groups, 3, 6), (3, 3)]
    got = torch.cat([student.answer(part, share) for part in x.split(split, 1)], 1)
    assert got.dtype == dtype
    want = student(x, inputs["mask"], memory, inputs["memory_mask"])
    close(got, want, tolerance)
    rows = torch.tensor([1, 1, 2])
    share = tuple(tensor.index_select(0, rows) for tensor in share)
    close(student.answer(x[rows], share), want[rows], tolerance)


def test_too_long_a_memory(make: Make, draw: Draw) -> None:
    inputs = draw("per-query", [1], [8])
    with pytest.raises(SequenceTooLong, match="8 tokens"):
        make("per-query").read_memory(inputs["memory"], inputs["memory_mask"])


@pytest.mark.parametrize("form", ["sentence", "per-query", "paper"])
def test_other_forms_do_not_decode(form: str, make: Make, draw: Draw) -> None:
    with pytest.raises(NotImplementedError, match=f"form '{form}'"):
        make(form).decode(draw(form, [1], [1])["x"], None, 0)


@pytest.mark.parametrize("form", ["sentence", "prefix", "paper"])
def test_other_forms_do_not_answer(form: str, make: Make, draw: Draw) -> None:
    inputs = draw("paper", [1], [1])
    with pytest.raises(NotImplementedError, match=f"form '{form}'"):
        make(form).read_memory(inputs["memory"], inputs["memory_mask"])
    with pytest.raises(NotImplementedError, match=f"form '{form}'"):
        make(form).answer(inputs["x"], ())


@pytest.mark.parametrize("form", ["prefix", "per-query"])
@pytest.mark.parametrize("autocast", [True, False])
@frozen_or_not
def test_in_bfloat16(form: str, autocast: bool, frozen: bool, make: Make, draw: Draw) -> None:
    """Products in bfloat16; what is kept from step to step in float32 or wider."""
    dtype = torch.float32 if autocast else torch.bfloat16
    student = make(form, 2)
    inputs = draw(form, [7, 7], [5, 7])
    want = student(**inputs)
    student = student.to(dtype).requires_grad_(not frozen)
    x = inputs["x"].to(dtype)
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        if form == "prefix":
            got, states = decode(student, x, [3, 1, 1, 2])
            state = states[-1]
        else:
            state = student.read_memory(inputs["memory"].to(dtype), inputs["memory_mask"])
            got = student.answer(x, state)
    assert got.dtype == dtype
    assert all(tensor.dtype in (torch.float32, torch.float64) for tensor in state)
    assert 1e-4 < (got - want).norm() / want.norm() < 3e-2


@pytest.mark.parametrize("form", ["sentence", "prefix", "per-query"])
def test_sums_that_were_kept_are_forgotten_in_training(form: str, make: Make, draw: Draw) -> None:
    # A fused optimiser changes the weights and leaves their version as it is.
    student = copy.deepcopy(make(form)).float().requires_grad_(False)
    inputs = {
        name: value.float() if value.is_floating_point() else value
        for name, value in draw(form, [3, 2], [2, 3]).items()
    }
    student(**inputs)
    optimizer = torch.optim.AdamW(student.requires_grad_(True).parameters(), lr=0.1, fused=True)
    for _ in range(3):
        student(**inputs).square().sum().backward()
        optimizer.step()
    trained = student(**inputs).detach()
    torch.testing.assert_close(student.requires_grad_(False)(**inputs), trained)
