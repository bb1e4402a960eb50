"""What holds for every family and form but the shallow networks."""

import dataclasses
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from attnreplace.errors import SequenceTooLong, UserError
from attnreplace.students import (
    FAMILIES,
    KINDS,
    NATURAL,
    SITE_FORMS,
    State,
    Student,
    StudentConfig,
    build_student,
    student_class,
)

Make = Callable[..., Student]
Draw = Callable[..., dict[str, Tensor]]

MIXERS = [family for family in FAMILIES if family != "shallow_ff"]
every_row = pytest.mark.parametrize(
    ("family", "form"), [(family, form) for family in MIXERS for form in FAMILIES[family]]
)
every_family = pytest.mark.parametrize("family", MIXERS)
WEIGHTS = [(family, "toeplitz") for family in MIXERS] + [("sgu", "dense"), ("amlp", "dense")]
"""Families, each with the weights over the tokens that it can have."""
BLIND = ("gaussian", "random_synthesizer")
"""Those whose students of cross-attention do not look at the query."""
KIND = {
    "token_mlp": "static", "sgu": "static", "amlp": "attention", "gated": "gated",
    "summaries": "gated", "pairwise": "pairwise", "tiny": "attention", "gaussian": "static",
    "synthesizer": "gated", "random_synthesizer": "static", "linear_attention": "attention",
}  # fmt: skip
cross_families = pytest.mark.parametrize(
    "family", [family for family in MIXERS if "per-query" in FAMILIES[family]]
)


def decode(student: Student, x: Tensor, split: list[int]) -> tuple[Tensor, list[State]]:
    """The outputs of all steps, and the state after each."""
    state, outputs, states, start = None, [], [], 0
    for new in split:
        out, state = student.decode(x[:, start : start + new], state, start)
        outputs.append(out)
        states.append(state)
        start += new
    return torch.cat(outputs, 1), states


def cast(inputs: dict[str, Tensor], dtype: torch.dtype) -> dict[str, Tensor]:
    return {name: x.to(dtype) if x.is_floating_point() else x for name, x in inputs.items()}


def sees_the_query(student: Student) -> bool:
    """Whether the output at a position depends on the input there."""
    return student.config.form != "per-query" or student.config.family not in BLIND


@every_row
@pytest.mark.parametrize(("groups", "hidden_layers"), [(1, 1), (2, 2)])
def test_padding_is_neither_read_nor_written(
    family: str, form: str, groups: int, hidden_layers: int, make_mixer: Make, draw: Draw
) -> None:
    student = make_mixer(family, form, groups, hidden_layers)
    inputs = draw(form, [5, 2, 0], [3, 6, 1])
    clean = student(**inputs)
    padding = ~inputs["mask"]
    inputs["x"][padding] = float("nan")
    if "memory" in inputs:
        inputs["memory"][~inputs["memory_mask"]] = float("nan")
    inputs["x"].requires_grad_()
    out = student(**inputs)
    assert torch.equal(out, clean)
    assert (out[padding] == 0).all()
    sources = [inputs["x"], *student.parameters()]
    gradients = torch.autograd.grad(
        out.square().sum(), sources, allow_unused=True, materialize_grads=True
    )
    assert all(gradient.isfinite().all() for gradient in gradients)
    assert (gradients[0][padding] == 0).all()
    assert (gradients[0][inputs["mask"]] != 0).any() == sees_the_query(student)


@every_row
def test_a_sentence_does_not_see_its_batch(
    family: str, form: str, make_mixer: Make, draw: Draw
) -> None:
    student = make_mixer(family, form, 2)
    inputs = draw(form, [7, 3, 1], [2, 7, 4])
    together = student(**inputs)
    for row, length in enumerate((7, 3, 1)):
        alone = {name: x[row : row + 1] for name, x in inputs.items()}
        alone |= {name: alone[name][:, :length] for name in ("x", "mask")}
        if "memory" in alone:
            end = int(inputs["memory_mask"][row].sum())
            alone |= {name: alone[name][:, :end] for name in ("memory", "memory_mask")}
        torch.testing.assert_close(student(**alone)[0], together[row, :length])


@every_row
def test_an_empty_memory_or_sentence_is_finite(
    family: str, form: str, make_mixer: Make, draw: Draw
) -> None:
    student = make_mixer(family, form)
    inputs = draw(form, [3, 0], [0, 2])
    out = student(**inputs)
    out.sum().backward()
    assert out.isfinite().all()
    assert all(p.grad is None or p.grad.isfinite().all() for p in student.parameters())


@pytest.mark.parametrize(
    ("dtype", "autocast"), [(torch.float32, False), (torch.float32, True), (torch.float64, False)]
)
@pytest.mark.parametrize(
    ("family", "form", "spatial"),
    [(f, form, spatial) for f, spatial in WEIGHTS for form in FAMILIES[f]],
)
def test_no_output_bit_depends_on_a_later_token(
    family: str,
    form: str,
    spatial: str,
    dtype: torch.dtype,
    autocast: bool,
    make_mixer: Make,
    draw: Draw,
) -> None:
    student = make_mixer(family, form, 2, 2, spatial, dtype)
    inputs = cast(draw(form, [7, 7, 7], [5, 7, 2]), dtype)
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        before = student(**inputs)
        for position in range(1, 7):
            x = inputs["x"].clone()
            x[:, position:] = torch.randn_like(x[:, position:]) * 1e3
            after = student(**inputs | {"x": x})
            same = torch.equal(after[:, :position], before[:, :position])
            assert same == (form != "sentence")
            changed = not torch.equal(after[:, position], before[:, position])
            assert changed == sees_the_query(student)


@every_row
def test_a_gap_is_not_read(family: str, form: str, make_mixer: Make, draw: Draw) -> None:
    """Padding between real tokens, as a mask may have it."""
    student = make_mixer(family, form)
    inputs = draw(form, [7], [7])
    inputs["memory_mask" if form == "per-query" else "mask"][:, 2] = False
    read = "memory" if form == "per-query" else "x"
    before = student(**inputs)
    inputs[read] = inputs[read].clone()
    inputs[read][:, 2] += 1e3
    assert torch.equal(student(**inputs), before)


@every_row
def test_reads_what_it_is_said_to_read(
    family: str, form: str, make_mixer: Make, draw: Draw
) -> None:
    """Every position depends on the first token of what it reads; a Gaussian, while it is near."""
    student = make_mixer(family, form)
    inputs = draw(form, [7], [7])
    before = student(**inputs)
    inputs["memory" if form == "per-query" else "x"][:, 0] += torch.randn(4).double()
    near = 4 if family == "gaussian" else 7
    assert ((student(**inputs) - before).abs().amax(-1)[:, :near] > 1e-6).all()


SUMS = ("gated", "summaries", "linear_attention")
"""Those whose states do not grow, with N or with the sentence."""


def widths(config: StudentConfig) -> list[int]:
    """Channels that each block of each network gives."""
    return [*[4] * (config.hidden_layers - 1), 4 // config.groups] * config.groups


def kept(family: str, width: int, end: int) -> list[tuple[int, ...]]:
    """What a block that gives so many channels keeps of three sentences of `end` tokens."""
    return {
        "token_mlp": [(3, 7, 4), (3, 7, 4)],
        "sgu": [(3, 7, 6)],
        "amlp": [(3, 7, 6), (3, 7, 2)],
        "gated": [(3, 6)],
        "summaries": [(3, 2, 6, width // 2), (3, 2, 6)],
        "pairwise": [(3, end, width + 6)],
        "tiny": [(3, 7, 12)],
        "gaussian": [(3, end, 6)],
        "synthesizer": [(3, end, width)],
        "random_synthesizer": [(3, end, width)],
        "linear_attention": [(3, 2, 12, width // 2), (3, 2, 12)],
    }[family]


@pytest.mark.parametrize(("family", "spatial"), WEIGHTS)
@pytest.mark.parametrize("split", [[7], [1] * 7, [3, 1, 1, 2], [1, 6]], ids=str)
@pytest.mark.parametrize(("groups", "hidden_layers"), [(1, 1), (2, 2)])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 1e-4)])
def test_decodes_from_any_split(
    family: str,
    split: list[int],
    groups: int,
    hidden_layers: int,
    spatial: str,
    dtype: torch.dtype,
    tolerance: float,
    make_mixer: Make,
    draw: Draw,
) -> None:
    student = make_mixer(family, "prefix", groups, hidden_layers, spatial, dtype)
    inputs = cast(draw("prefix", [7, 7, 7], []), dtype)
    want = student(**inputs)
    got, states = decode(student, inputs["x"], split)
    assert got.dtype == dtype
    torch.testing.assert_close(got, want, atol=tolerance, rtol=tolerance)
    ends = [sum(split[: step + 1]) for step in range(len(split))]
    for end, state in zip(ends, states, strict=True):
        shapes = [shape for width in widths(student.config) for shape in kept(family, width, end)]
        assert [tuple(tensor.shape) for tensor in state] == shapes
        assert family not in SUMS or all(tensor.dtype == dtype for tensor in state)


@every_family
def test_states_are_rows(family: str, make_mixer: Make, draw: Draw) -> None:
    """A beam search repeats and reorders the rows of a state without knowing what they are."""
    student = make_mixer(family, "prefix", 2)
    inputs = draw("prefix", [7, 7, 7], [])
    want = student(**inputs)
    _, (state, *_) = decode(student, inputs["x"], [4, 3])
    rows = torch.tensor([2, 0, 0, 1, 2])
    state = tuple(tensor.index_select(0, rows) for tensor in state)
    got, _ = student.decode(inputs["x"][rows, 4:], state, 4)
    torch.testing.assert_close(got, want[rows, 4:], atol=1e-10, rtol=0)


@every_family
def test_a_state_stays_as_it_was(family: str, make_mixer: Make, draw: Draw) -> None:
    student = make_mixer(family, "prefix").requires_grad_(False)
    x = draw("prefix", [7], [])["x"]
    _, state = student.decode(x[:, :3], None, 0)
    kept = tuple(tensor.clone() for tensor in state)
    student.decode(x[:, 3:], state, 3)
    assert all(torch.equal(one, other) for one, other in zip(state, kept, strict=True))


@every_family
def test_decoding_has_the_gradients_of_forward(family: str, make_mixer: Make, draw: Draw) -> None:
    student = make_mixer(family, "prefix")
    x = draw("prefix", [7, 7], [])["x"]
    results = []
    for split in ([7], [3, 1, 3]):
        decode(student, x, split)[0].square().sum().backward()
        results.append([parameter.grad for parameter in student.parameters()])
        student.zero_grad()
    torch.testing.assert_close(results[0], results[1], atol=1e-10, rtol=1e-9)


@every_family
def test_decodes_no_further_than_its_positions(family: str, make_mixer: Make, draw: Draw) -> None:
    student = make_mixer(family, "prefix")
    x = draw("prefix", [7], [])["x"]
    _, state = student.decode(x, None, 0)
    with pytest.raises(SequenceTooLong, match="8 tokens"):
        student.decode(x[:, :1], state, 7)


def shared(family: str, width: int) -> list[tuple[int, ...]]:
    """The share of three memories of six tokens in a block that gives so many channels."""
    if family == "sgu":
        return [(3, 16, 6)]
    if family == "amlp":
        return [(3, 16, 6), (3, 6, 2), (3, 6)]
    shapes = kept(family, width, 6)
    if family == "summaries":
        return shapes[:1]
    if family == "tiny":
        shapes = [(3, 6, 12)]
    return shapes if family in SUMS else [*shapes, (3, 6)]


@cross_families
@pytest.mark.parametrize("split", [[7], [1] * 7, [2, 5]], ids=str)
@pytest.mark.parametrize(("groups", "hidden_layers"), [(1, 1), (2, 2)])
def test_per_query_answers_as_forward(
    family: str, split: list[int], groups: int, hidden_layers: int, make_mixer: Make, draw: Draw
) -> None:
    student = make_mixer(family, "per-query", groups, hidden_layers)
    inputs = draw("per-query", [7, 7, 7], [3, 6, 5])
    want = student(**inputs)
    memory = inputs["memory"].masked_fill(~inputs["memory_mask"].unsqueeze(-1), float("nan"))
    share = student.read_memory(memory, inputs["memory_mask"])
    shapes = [shape for width in widths(student.config) for shape in shared(family, width)]
    assert [tuple(tensor.shape) for tensor in share] == shapes
    starts = [sum(split[:step]) for step in range(len(split))]
    parts = [
        student.answer(part, share, start)
        for part, start in zip(inputs["x"].split(split, 1), starts, strict=True)
    ]
    torch.testing.assert_close(torch.cat(parts, 1), want, atol=1e-10, rtol=0)
    rows = torch.tensor([1, 1, 2])
    share = tuple(tensor.index_select(0, rows) for tensor in share)
    got = student.answer(inputs["x"][rows], share)
    torch.testing.assert_close(got, want[rows], atol=1e-10, rtol=0)


@every_row
def test_too_long_is_one_clear_line(family: str, form: str, make_mixer: Make, draw: Draw) -> None:
    student = make_mixer(family, form)
    inputs = [draw(form, [8], [7])] if student.limits_input else []
    if form == "per-query":
        inputs.append(draw(form, [7], [8]))
        memory = inputs[-1]["memory"], inputs[-1]["memory_mask"]
        with pytest.raises(SequenceTooLong, match="8 tokens"):
            student.read_memory(*memory)
    for some in inputs:
        with pytest.raises(SequenceTooLong, match=r"8 tokens .* 7 positions") as error:
            student(**some)
        assert "\n" not in str(error.value)


@cross_families
def test_answers_at_any_position(family: str, make_mixer: Make, draw: Draw) -> None:
    """Beyond N too, but where positions of queries have weights."""
    student = make_mixer(family, "per-query")
    inputs = draw("per-query", [9], [7])
    share = student.read_memory(inputs["memory"], inputs["memory_mask"])
    if family == "random_synthesizer":
        with pytest.raises(SequenceTooLong, match="9 tokens"):
            student.answer(inputs["x"][:, 8:], share, 8)
        return
    whole = student(**inputs)
    torch.testing.assert_close(student.answer(inputs["x"][:, 8:], share, 8), whole[:, 8:])
    assert whole.abs().amax(-1).gt(1e-3).all()


@every_row
def test_only_what_a_form_can_do(family: str, form: str, make_mixer: Make, draw: Draw) -> None:
    student, inputs = make_mixer(family, form), draw("per-query", [1], [1])
    if form != "prefix":
        with pytest.raises(NotImplementedError, match=f"form '{form}'"):
            student.decode(inputs["x"], None, 0)
    if form != "per-query":
        with pytest.raises(NotImplementedError, match=f"form '{form}'"):
            student.read_memory(inputs["memory"], inputs["memory_mask"])
    else:
        with pytest.raises(TypeError, match="memory"):
            student(inputs["x"], inputs["mask"])


@every_row
@pytest.mark.parametrize("autocast", [True, False])
def test_in_bfloat16(family: str, form: str, autocast: bool, make_mixer: Make, draw: Draw) -> None:
    """Products in bfloat16, under autocast or by the parameters; moments in float32."""
    dtype = torch.float32 if autocast else torch.bfloat16
    student = make_mixer(family, form, 2, 2)
    inputs = draw(form, [7, 7], [5, 7])
    want = student(**inputs)
    student, inputs = student.to(dtype), cast(inputs, dtype)
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        results = [student(**inputs)]
        if form == "prefix":
            results.append(decode(student, inputs["x"], [3, 1, 1, 2])[0])
        if form == "per-query":
            share = student.read_memory(inputs["memory"], inputs["memory_mask"])
            results.append(student.answer(inputs["x"], share))
    for got in results:
        assert got.dtype == dtype
        assert 1e-4 < (got - want).norm() / want.norm() < 5e-2


@every_row
@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("autocast", [True, False])
def test_a_step_lowers_the_loss(
    family: str, form: str, groups: int, autocast: bool, draw: Draw
) -> None:
    """From the start that training has, by the way that training takes: `mix`, padding at zero."""
    torch.manual_seed(0)
    student = build_student(StudentConfig(family, 4, 4, 7, 16, groups, form))
    inputs = cast(draw(form, [7, 4, 6], [5, 7, 2]), torch.float32)
    real = inputs["mask"]
    x = inputs["x"].masked_fill(~real.unsqueeze(-1), 0)
    memory = inputs.get("memory")
    if memory is not None:
        memory = memory.masked_fill(~inputs["memory_mask"].unsqueeze(-1), 0)
    target = torch.randn(int(real.sum()), 4)
    optimizer = torch.optim.AdamW(student.parameters(), lr=1e-2)
    losses = []
    for _ in range(8):
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            out = student.mix(x, memory)
        loss = (out.float()[real] - target).square().mean()
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert losses[1] < losses[0]
    assert losses[-1] < 0.9 * losses[0]


@pytest.mark.parametrize("form", FAMILIES["sgu"])
def test_gates_start_near_one(form: str, draw: Draw) -> None:
    """As in gMLP: a gate leaves the channels alone before it has learnt anything."""
    torch.manual_seed(0)
    student = build_student(StudentConfig("sgu", 4, 4, 7, 16, form=form)).double()
    (block,) = student.networks[0]
    inputs = draw(form, [7], [7])
    branch = block if form == "per-query" else block.branch
    hidden = torch.nn.functional.gelu(branch.expand(block.norm(inputs["x"])))
    want = branch.project(hidden[..., :16])
    got = student(**inputs)
    tolerance = 0.5 if form == "per-query" else 1e-4
    assert (got - want).norm() / want.norm() < tolerance


def test_missing_forms_are_named() -> None:
    config = StudentConfig("token_mlp", 4, 4, 7, 6, form="per-query")
    with pytest.raises(UserError, match=r"'per-query'; its forms: sentence, prefix$"):
        build_student(config)
    with pytest.raises(UserError, match=r"'paper'; its forms: sentence, prefix, per-query$"):
        build_student(dataclasses.replace(config, family="sgu", form="paper"))


@every_row
def test_says_what_it_is(family: str, form: str, make_mixer: Make) -> None:
    student = make_mixer(family, form)
    kind = "gated" if (family, form) == ("sgu", "per-query") else KIND[family]
    assert student_class(student.config).kind == kind
    assert kind in KINDS
    assert student_class(student.config).contains_attention == (kind == "attention")
    assert any("qkv" in name for name in student.state_dict()) == (family in ("amlp", "tiny"))


@pytest.mark.parametrize("family", NATURAL)
@pytest.mark.parametrize("form", SITE_FORMS)
def test_a_residual_is_added(family: str, form: str, make_mixer: Make, draw: Draw) -> None:
    """What is left when nothing is read."""
    student = make_mixer(family, form, residual=True)
    inputs = draw(form, [7, 4], [7, 5])
    sizes = {name: tensor.shape for name, tensor in student.named_parameters()}
    assert student.config.num_parameters() == sum(shape.numel() for shape in sizes.values())
    assert not torch.allclose(student(**inputs), inputs["x"])
    last = next(
        name for name in ("project", "attention.out") if f"networks.0.0.{name}.bias" in sizes
    )
    with torch.no_grad():
        student.get_submodule(f"networks.0.0.{last}").weight.zero_()
        student.get_submodule(f"networks.0.0.{last}").bias.zero_()
    torch.testing.assert_close(student(**inputs), inputs["x"] * inputs["mask"][..., None])
