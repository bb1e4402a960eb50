import dataclasses

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from attnreplace.evaluate.cost import decoder_flops, encoder_flops
from attnreplace.planning.corpora import SplitCounts
from attnreplace.planning.teachers import Vocabulary, empty_model, teacher_shape
from attnreplace.planning.work import (
    GPU_BYTES,
    UPDATE_BYTES,
    WHOLE_BYTES,
    student_epoch,
    student_products,
    teacher_forward,
    update_bytes,
)
from attnreplace.students import StudentConfig, build_student
from attnreplace.teacher.build import TeacherConfig, build_teacher

SHAPE = TeacherConfig(
    d_model=16, encoder_layers=2, decoder_layers=3, num_heads=2, d_ff=24, vocab_size=50
)
NOTHING = SplitCounts(0, 0, 0, 0)


@pytest.mark.parametrize("norm", ["pre", "post"])
def test_the_teachers_operations_are_those_that_are_counted(norm):
    shape = TeacherConfig(**vars(SHAPE) | {"norm": norm})
    model = build_teacher(shape, Vocabulary(50)).eval()
    one = SplitCounts(pairs=1, source=7, target=7, longer=7)
    encoder = teacher_forward(empty_model(shape), one, decoder=False).flops
    both = teacher_forward(empty_model(shape), one, decoder=True).flops
    assert encoder == encoder_flops(model, 7)
    assert both - encoder == decoder_flops(model, 7)


@pytest.mark.parametrize("hidden_layers", [1, 2])
@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("form", ["sentence", "prefix", "per-query", "paper"])
def test_a_students_operations_are_nearly_those_that_are_counted(form, groups, hidden_layers):
    config = StudentConfig(
        family="shallow_ff",
        d_model=32,
        d_out=32,
        positions=6,
        hidden=64,
        groups=groups,
        form=form,
        hidden_layers=hidden_layers,
    )
    student = build_student(config)
    x, memory = torch.randn(2, 40, 6, 32)
    mask = torch.ones(40, 6, dtype=torch.bool)
    cross = form in ("per-query", "paper")
    with FlopCounterMode(display=False) as counter:
        out = student(x, mask, memory=memory, memory_mask=mask) if cross else student(x, mask)
        forward = counter.get_total_flops()
        out.square().sum().backward()
    counts = SplitCounts(pairs=40, source=240, target=240, longer=240)
    axis = "source" if form == "sentence" else "target"
    # Sums over the weights come on top: little where there are many sentences.
    assert sum(student_products(config, counts, axis)) == pytest.approx(forward, rel=0.15)
    planned = student_epoch(config, counts, NOTHING, axis, 1, UPDATE_BYTES).flops
    assert planned == pytest.approx(counter.get_total_flops(), rel=0.2)


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize(
    ("family", "form"),
    [
        ("token_mlp", "prefix"),
        ("sgu", "sentence"),
        ("sgu", "prefix"),
        ("sgu", "per-query"),
        ("amlp", "per-query"),
        ("gated", "sentence"),
        ("gated", "prefix"),
        ("gated", "per-query"),
        ("summaries", "sentence"),
        ("summaries", "prefix"),
        ("summaries", "per-query"),
        ("pairwise", "prefix"),
        ("pairwise", "per-query"),
    ],
)
def test_a_mixers_operations_are_nearly_those_that_are_counted(family, form, groups):
    config = StudentConfig(family, 32, 32, 8, 256, groups, form, 2)
    student = build_student(config)
    x, memory = torch.randn(4, 8, 32), torch.randn(4, 5, 32)
    masks = torch.ones(4, 8, dtype=torch.bool), torch.ones(4, 5, dtype=torch.bool)
    cross = form == "per-query"
    with FlopCounterMode(display=False) as counter:
        out = student(x, masks[0], memory, masks[1]) if cross else student(x, masks[0])
        forward = counter.get_total_flops()
        out.square().sum().backward()
    counts = SplitCounts(pairs=4, source=20 if cross else 32, target=32, longer=32)
    axis = "source" if form == "sentence" else "target"
    assert sum(student_products(config, counts, axis)) == pytest.approx(forward, rel=0.2)
    work = student_epoch(config, counts, NOTHING, axis, 1, UPDATE_BYTES)
    assert work.flops == pytest.approx(counter.get_total_flops(), rel=0.2)
    # Hidden layers are computed for tokens, not for sentences; those of pairs go by both.
    few, many = (
        student_epoch(config, SplitCounts(pairs, 32, 32, 32), NOTHING, axis, 1, UPDATE_BYTES)
        for pairs in (4, 9)
    )
    assert (few.traffic > many.traffic) == (family == "pairwise")
    assert few.traffic >= many.traffic


def test_updates_cost_for_parameters_and_tokens_for_products():
    config = StudentConfig(family="shallow_ff", d_model=8, d_out=8, positions=5, hidden=4)
    few = student_epoch(config, SplitCounts(10, 50, 50, 50), NOTHING, "source", 2, UPDATE_BYTES)
    more_updates = student_epoch(
        config, SplitCounts(10, 50, 50, 50), NOTHING, "source", 4, UPDATE_BYTES
    )
    more_tokens = student_epoch(
        config, SplitCounts(20, 100, 100, 100), NOTHING, "source", 2, UPDATE_BYTES
    )
    assert (more_updates.flops, more_updates.weights) == (few.flops, 2 * few.weights)
    assert (more_tokens.flops, more_tokens.weights) == (2 * few.flops, few.weights)


def test_shapes_of_well_known_models_have_their_parameters():
    for name, billions in (("1b", 1.24), ("3b", 3.34)):
        parameters = sum(p.numel() for p in empty_model(teacher_shape(name)).parameters())
        assert parameters / 1e9 == pytest.approx(billions, abs=0.02)


def test_what_a_parameter_moves_goes_by_where_its_gradient_is():
    config = StudentConfig(family="shallow_ff", d_model=4, d_out=4, positions=4, hidden=2)
    prefix = dataclasses.replace(config, form="prefix")
    assert update_bytes(config, gpu=False, within=True) == UPDATE_BYTES
    assert update_bytes(config, gpu=False, within=False) == WHOLE_BYTES
    assert update_bytes(prefix, gpu=False, within=True) == WHOLE_BYTES
    assert update_bytes(config, gpu=True, within=False) == GPU_BYTES
