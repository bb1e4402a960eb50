"""What students cost: counts, timings, fits and formulas."""

import pytest
import torch
from transformers import DynamicCache

from attnreplace.errors import UserError
from attnreplace.evaluate.instruments import count_flops
from attnreplace.hosts import host_for
from attnreplace.planning.teachers import Vocabulary
from attnreplace.rundir import read_json, write_json
from attnreplace.teacher.build import TeacherConfig, build_teacher
from benchmarks.plain.attention import PlainAttention
from benchmarks.scaling.calls import DECODED, TOKENS, Subject, whats_of
from benchmarks.scaling.cost import count_all, time_all
from benchmarks.scaling.counts import UPDATE_BYTES, count, count_shape
from benchmarks.scaling.fit import LEAST, Point, fit_cost, held_out, power_law, residual
from benchmarks.scaling.formulas import (
    crossing,
    forward_flops,
    qkv_parameters,
    shallow_parameters,
    summaries_flops,
)
from benchmarks.scaling.shapes import ATTENTION, FORMS, SYSTEMS, Shape, build, config_of, shaped

SMALL = [Shape(form, 6, 16) for form in FORMS]


@pytest.mark.parametrize("form", FORMS)
def test_the_plain_attention_is_the_teachers(form):
    torch.manual_seed(0)
    shape = TeacherConfig(d_model=16, num_heads=8, encoder_layers=1, decoder_layers=1, d_ff=8)
    model = build_teacher(shape, Vocabulary(300)).double().eval()
    host = host_for(model)
    (site,) = [site for site in host.sites(model) if site.group == FORMS[form]]
    theirs = host.locate(model, site).attention
    plain = PlainAttention(16, 8, causal=form == "prefix").double()
    plain.load_state_dict(
        {n: w for n, w in theirs.state_dict().items() if not n.startswith("out_proj")}
    )
    theirs.out_proj = torch.nn.Identity()
    x, memory = torch.randn(2, 3, 5, 16).double()
    later = torch.ones(5, 5).triu(1).bool()
    mask = torch.zeros(3, 1, 5, 5).double().masked_fill(later, -1e300)
    with torch.no_grad():
        cross = {"key_value_states": memory} if form == "per-query" else {}
        causal = {"attention_mask": mask} if form == "prefix" else {}
        expected = theirs(x, **cross, **causal)[0]
        whole = plain.mix(x, memory if cross else None)
        assert (whole - expected).abs().max() < 1e-10
        if form == "prefix":
            _, state = plain.decode(x[:, :4], None, 0)
            assert (plain.decode(x[:, 4:], state, 4)[0] - expected[:, 4:]).abs().max() < 1e-10
        if form == "per-query":
            share = plain.read_memory(memory, torch.ones(3, 5).bool())
            assert (plain.answer(x[:, 4:], share, 4) - expected[:, 4:]).abs().max() < 1e-10


def test_the_state_of_the_plain_attention_is_as_large_as_the_librarys_cache():
    cache = DynamicCache()
    cache.update(torch.zeros(DECODED, 8, 6, 2), torch.zeros(DECODED, 8, 6, 2), 0)
    expected = cache.layers[0].keys.nbytes + cache.layers[0].values.nbytes
    held = count_shape(ATTENTION, Shape("prefix", 6, 16))["size"]["state_bytes"]
    assert held * DECODED == expected


@pytest.mark.parametrize("shape", SMALL, ids=lambda shape: shape.form)
@pytest.mark.parametrize("system", SYSTEMS)
def test_operations_are_those_that_are_computed(system, shape):
    counts = count_shape(system, shape)
    assert set(counts) == {"size", *whats_of(shape)}
    torch.manual_seed(0)
    subject = Subject(system, shape)
    parameters = sum(weight.numel() for weight in subject.module.parameters())
    assert counts["size"]["parameters"] == parameters
    # Weights and two moments, and at least the gradients in a step.
    assert counts["size"]["training_bytes"] >= 16 * parameters
    assert counts["train"]["moved"] > (UPDATE_BYTES + 8) * parameters
    for what in whats_of(shape)[1:]:
        assert counts[what]["flops"] == count_flops(subject.user(what)) > 0


def test_views_move_nothing_and_what_is_freed_is_not_held():
    x = torch.empty(4, 8, device="meta")

    def call():
        for _ in range(3):
            y = x.transpose(0, 1)[:4] + 1.0
            del y

    counted = count(call)
    assert counted.moved == 3 * 2 * 16 * 4
    assert counted.held == 16 * 4
    # One row, that stands for four, is read once.
    assert count(lambda: x[:1].expand(4, 8) + 1.0).moved == 8 * 4 + 32 * 4


def test_formulas_of_the_encoder():
    for size in ("s", "m", "l", "xl"):
        shape = Shape("sentence", 25, 64)
        assert (
            shallow_parameters(size, 25, 64) == shaped("shallow_ff", size, shape).num_parameters()
        )
    sentences = TOKENS // 25
    for system, size in ((ATTENTION, None), ("shallow_ff-m", "m")):
        counted = count_shape(system, Shape("sentence", 25, 64))["forward"]["flops"]
        assert counted == sentences * forward_flops(size, 25, 64)
    for size, factor in (("m", 3), ("l", 5)):
        counted = count_shape(f"summaries-{size}", Shape("sentence", 25, 64))
        assert counted["forward"]["flops"] == sentences * summaries_flops(size, 25, 64)
        assert counted["size"]["parameters"] == factor * 64 * 65
    attention = sum(weight.numel() for weight in build(ATTENTION, SMALL[0]).parameters())
    assert attention == qkv_parameters(16)


def test_crossings():
    assert crossing(lambda n: n - 12.5) == 13
    assert crossing(lambda n: 1.0) == 1
    assert crossing(lambda n: -1.0) is None
    # 2 n h = 3 d^2 where N^2 = 1.5 * 8.
    assert crossing(lambda n: shallow_parameters("m", n, 512) - qkv_parameters(512)) == 4


def test_a_student_is_the_one_that_is_distilled():
    config = config_of("shallow_ff-m", Shape("sentence", 50, 128))
    assert config.num_parameters() == 10_261_600
    deeper = config_of("pairwise-m", Shape("per-query", 50, 128, 3))
    assert (deeper.hidden_layers, deeper.heads, deeper.form) == (3, 8, "per-query")


def test_costs_are_recorded_as_they_come(tmp_path):
    path, notes = tmp_path / "seconds.json", []
    counts = count_all(tmp_path / "counts.json", SMALL, notes.append)
    held = {name: c["size"]["training_bytes"] for name, c in counts[SMALL[0].key].items()}
    # All but the system that takes the most.
    limit = max(held.values()) - 1
    time_all(path, SMALL, counts, notes.append, minutes=0)
    assert read_json(path)["seconds"] == {} if path.exists() else True
    time_all(path, SMALL[:1], counts, notes.append, memory=limit, seconds=0)
    record = read_json(path)
    assert list(record["seconds"]) == [SMALL[0].key]
    timed = record["seconds"][SMALL[0].key]
    assert set(timed) == {name for name in SYSTEMS if held[name] <= limit} != set(SYSTEMS)
    assert set(timed[ATTENTION]) == {"train", "forward"}
    assert all(value > 0 for value in timed[ATTENTION]["train"])

    time_all(path, SMALL[:2], counts, notes.append, memory=limit, seconds=0)
    again = read_json(path)
    assert again["seconds"][SMALL[0].key] == timed
    assert set(again["seconds"][SMALL[1].key][ATTENTION]) == {"train", "forward", "step"}
    before = len(notes)
    count_all(tmp_path / "counts.json", SMALL, notes.append)
    assert len(notes) == before

    # What lacks a system is counted for it alone, and timed anew with all.
    kept = counts[SMALL[0].key].pop("tiny-m")
    write_json(tmp_path / "counts.json", read_json(tmp_path / "counts.json") | {"counts": counts})
    assert count_all(tmp_path / "counts.json", SMALL, notes.append)[SMALL[0].key]["tiny-m"] == kept
    assert notes[before:] == [f"counting {SMALL[0].key}: tiny-m"]
    counts[SMALL[0].key]["tiny-m"] = kept
    del again["seconds"][SMALL[0].key]["tiny-m"]
    write_json(path, again)
    time_all(path, SMALL[:2], counts, notes.append, memory=limit, seconds=0)
    anew = read_json(path)
    assert set(anew["seconds"][SMALL[0].key]) == set(timed)
    assert anew["seconds"][SMALL[0].key][ATTENTION] != timed[ATTENTION]
    assert anew["seconds"][SMALL[1].key] == again["seconds"][SMALL[1].key]
    assert anew["cpu_seconds"] >= again["cpu_seconds"]

    write_json(path, again | {"machine": {"device": "another"}})
    with pytest.raises(UserError, match="another machine"):
        time_all(path, SMALL, counts, notes.append)


def test_a_fit_finds_the_factors_and_none_is_negative():
    exact = [Point(f, b, 1e-3 + 2e-9 * f + 3e-9 * b) for f, b in ((1e3, 1e6), (1e6, 1e5), (1e7, 1))]
    exact += [Point(2e7, 1e7, 1e-3 + 4e-2 + 3e-2), Point(1e8, 2e8, 1e-3 + 0.2 + 0.6)]
    fit = fit_cost(exact)
    assert (fit.call, fit.operation, fit.byte) == pytest.approx((1e-3, 2e-9, 3e-9))
    assert residual(exact) < 1e-9
    falling = [Point(f, 0.0, 1 / f) for f in (1e3, 1e4, 1e5)]
    assert min(fit_cost(falling).__dict__.values()) >= 0


def test_the_costliest_are_predicted_from_the_others():
    straight = [Point(float(f), 0.0, 1e-3 * f) for f in range(1, 9)]
    assert held_out(straight) < 1e-9
    bent = [*straight[:-2], *(Point(p.flops, 0.0, 2 * p.seconds) for p in straight[-2:])]
    assert held_out(bent) == pytest.approx(0.5)
    assert held_out(straight[:LEAST]) is None


def test_a_power_law_finds_its_exponents():
    law = power_law([(n, d, 3e-9 * n**1.5 * d**2) for n in (25, 50, 100) for d in (64, 128)])
    assert (law.length, law.width, law.residual) == pytest.approx((1.5, 2, 0))
    assert str(law) == "N^1.5 d^2"
    law = power_law([(n, 64, 2 * n**0.25) for n in (25, 50, 100)])
    assert (law.length, law.width) == (pytest.approx(0.25), None)
    assert str(law) == "N^0.25"
