import dataclasses

import pytest

from attnreplace.config import RunConfig
from attnreplace.distill.config import DistillConfig
from attnreplace.errors import UserError
from attnreplace.planning.advice import advice
from attnreplace.planning.corpora import config_counts, preset_counts
from attnreplace.planning.machine import MACHINES, get_machine, measure_machine
from attnreplace.planning.plan import make_plan
from attnreplace.planning.tables import (
    machines_table,
    markdown_plan,
    readable_flops,
    readable_seconds,
)
from attnreplace.planning.teachers import empty_model, teacher_shape

CORPUS = preset_counts("multi30k", "de-en")
PAPER = teacher_shape("paper")
MACHINE = get_machine("two-cores")


def plan(machine=MACHINE, corpus=CORPUS, sites=("encoder",), **distill):
    config = RunConfig(
        teacher=PAPER,
        extract=dataclasses.replace(RunConfig().extract, sites=list(sites)),
        distill=DistillConfig(**{"methods": ["alr"], "sizes": ["m"]} | distill),
    )
    return make_plan(config, corpus, empty_model(PAPER), machine)


def stage(made, name):
    return next(stage for stage in made.stages if stage.name == name)


def test_bytes_follow_from_tokens_and_tensors():
    made = plan(sites=["all"])
    source, target = (
        sum(split.of(axis) for split in CORPUS.splits) for axis in ("source", "target")
    )
    # Encoder: 7 residual streams and 6 heads. Decoder: 6 and 6. Cross: 6 and 6, and the memory.
    assert made.store_bytes == {
        "encoder": 13 * source * 128 * 2,
        "decoder": 12 * target * 128 * 2,
        "cross": (12 * target + source) * 128 * 2,
    }


def test_parameters_are_those_of_the_paper():
    made = plan(sites=["all"], cross_form="paper", sizes=["xs"])
    totals = {
        name: {s.parameters for s in made.students if s.bundle == name}
        for name in ("alr-xs", "alr-xs-decoder", "alr-xs-cross-paper")
    }
    assert totals["alr-xs-decoder"] == {176_203}
    assert totals["alr-xs-cross-paper"] == {992_150}
    assert totals["alr-xs"] == {339_275}


def test_what_is_trained_is_methods_sizes_layers_and_seeds():
    made = plan(sites=["encoder", "decoder"], methods=["alr", "elr"], layers="0,2-3", seeds=2)
    # ELR has no place in a decoder.
    assert {s.bundle for s in made.students} == {
        "alr-m-layers0.2-3",
        "elr-m-layers0.2-3",
        "alr-m-decoder-layers0.2-3",
    }
    assert len(made.students) == 3 * 3 * 2
    with pytest.raises(UserError, match="nothing to plan"):
        plan(sites=["decoder"], methods=["elr"])


def test_families_are_planned_where_they_have_a_form():
    made = plan(sites=["all"], families=["shallow_ff", "token_mlp", "sgu"], spatial="dense")
    assert list(dict.fromkeys(s.bundle for s in made.students)) == [
        "alr-m", "alr-m-token_mlp", "alr-m-sgu-dense",
        "alr-m-decoder", "alr-m-token_mlp-decoder", "alr-m-sgu-dense-decoder",
        "alr-m-cross", "alr-m-sgu-cross",
    ]  # fmt: skip
    with pytest.raises(UserError, match="nothing to plan"):
        plan(sites=["cross"], families=["token_mlp"])
    # At equal counts a mixer computes more, and holds what it computed for all tokens.
    shallow, mixer = plan(), plan(families=["sgu"])
    assert mixer.students[0].parameters == pytest.approx(shallow.students[0].parameters, rel=0.01)
    assert stage(mixer, "distill").flops > 5 * stage(shallow, "distill").flops
    assert stage(mixer, "distill").memory > 1.2 * stage(shallow, "distill").memory


def test_little_memory_makes_passes_and_says_so():
    student = max(plan().students, key=lambda s: s.parameters)
    small = dataclasses.replace(MACHINE, memory=4.1 * student.memory)
    made = plan(small)
    assert made.passes == 3  # six students, two at a time
    assert any("3 passes" in line for line in advice(made))
    assert plan(dataclasses.replace(small, devices=3)).passes == 1
    # Devices that share batches hold whole gradients: one student at a time.
    assert plan(dataclasses.replace(small, devices=3), placement="data").passes == 6


def test_a_student_without_room_and_a_full_disk_are_said():
    made = plan(dataclasses.replace(MACHINE, memory=2e8, disk=1e9))
    text = " ".join(advice(made))
    assert "One student of alr-m takes" in text
    assert "the disk has 1 GB" in text


def test_machines_have_several_devices_and_are_compared():
    machines = [get_machine(text) for text in ("two-cores", "8xa100")]
    assert [machine.devices for machine in machines] == [1, 8]
    header, rows = machines_table([plan(machine) for machine in machines])
    assert [row[0] for row in rows] == ["two-cores", "8xa100"]
    assert header[-1] == "fits" and {row[-1] for row in rows} == {"yes"}
    assert {row[header.index("operations")] for row in rows} == {readable_flops(plan().flops)}
    (_, (row,)) = machines_table([plan(dataclasses.replace(MACHINE, disk=1e6))])
    assert row[-1] == "disk too small"
    for text in ("0xa100", "xa100", "-2xa100"):
        with pytest.raises(UserError, match="no machine"):
            get_machine(text)


def test_devices_share_the_work():
    one, two = plan(), plan(dataclasses.replace(MACHINE, devices=2))
    for name in ("extract", "distill"):
        assert stage(one, name).flops == pytest.approx(stage(two, name).flops)
    assert stage(two, "distill").parts["memory"] == stage(one, "distill").parts["memory"] / 2
    shared = plan(dataclasses.replace(MACHINE, devices=2), placement="data")
    # By data the products are shared, and every device updates all weights.
    parts = stage(shared, "distill").parts
    assert parts["products"] == stage(one, "distill").parts["products"] / 2
    assert parts["memory"] > 0.8 * stage(one, "distill").parts["memory"]


def test_larger_batches_mean_less_memory_traffic():
    small, large = plan(batch_tokens=2048), plan(batch_tokens=8192)
    assert stage(small, "distill").dominant == "memory"
    assert stage(small, "distill").seconds > 1.5 * stage(large, "distill").seconds


def test_online_stores_nothing_and_runs_the_teacher_every_epoch():
    made = plan(online=True, epochs=4)
    assert not made.store_bytes
    assert [stage.name for stage in made.stages] == ["train", "distill"]
    kept = plan(epochs=4)
    extra = stage(made, "distill").flops - stage(kept, "distill").flops
    assert extra == pytest.approx(4 * stage(kept, "extract").flops)


def test_presets_know_pairs_in_both_directions_and_refuse_others():
    assert preset_counts("iwslt2017", "fr-en").train == preset_counts("iwslt2017", "en-fr").train
    assert preset_counts("wmt14", "de-en", max_train=1000).train.pairs == 850
    with pytest.raises(UserError, match=r"no figures for multi30k de-fr; there are: de-en"):
        preset_counts("multi30k", "de-fr")
    with pytest.raises(UserError, match="valid: multi30k, iwslt2017, wmt14"):
        preset_counts("nothing", "de-en")
    with pytest.raises(UserError, match="valid: two-cores, a100, h100"):
        get_machine("nothing")


def test_a_corpus_at_hand_is_counted():
    data = dataclasses.replace(RunConfig().data, train_size=30, validation_size=5)
    config = dataclasses.replace(RunConfig(), data=data)
    counts = config_counts(config)
    assert (counts.train.pairs, counts.validation.pairs) == (30, 5)
    assert counts.train.longer >= max(counts.train.source, counts.train.target)


def test_this_machine_can_be_measured(tmp_path, monkeypatch):
    from attnreplace.planning import machine

    monkeypatch.setattr(machine, "DISK_BYTES", 2**24)
    monkeypatch.setattr(machine, "SECONDS", 0.02)
    measured = measure_machine(tmp_path)
    assert measured.devices >= 1
    for rate in (measured.fp32_flops, measured.bf16_flops, measured.memory_bandwidth):
        assert rate > 1e7
    assert 0 < measured.call_seconds < 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", MACHINES)
def test_a_plan_is_markdown(name):
    text = markdown_plan(plan(get_machine(name), sites=["all"]))
    assert "| extract |" in text
    assert "alr-m-cross" in text


def test_figures_for_a_person():
    assert readable_flops(1.234e12) == "1.23 T"
    assert readable_flops(2e18) == "2,000 P"
    assert readable_seconds(5) == "5 s"
    assert readable_seconds(90) == "90 s"
    assert readable_seconds(600) == "10 min"
    assert readable_seconds(7200) == "2.0 h"
    assert readable_seconds(86400 * 12) == "12 d"
