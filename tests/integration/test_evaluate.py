"""The evaluation stage over a run directory with a real teacher and real bundles."""

import copy
import dataclasses
import gc
import json
import shutil
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

from attnreplace.config import RunConfig
from attnreplace.data.corpora import DataConfig
from attnreplace.data.tokenizer import train_tokenizer
from attnreplace.digest import digest_json
from attnreplace.errors import UserError
from attnreplace.evaluate.bleu import score
from attnreplace.evaluate.config import EvalConfig
from attnreplace.evaluate.evaluate import evaluate
from attnreplace.evaluate.record import Cost, Record, record_path
from attnreplace.evaluate.translate import translate
from attnreplace.hosts import GROUPS, Group, host_for
from attnreplace.methods import get_method
from attnreplace.progress import NullProgress, Task
from attnreplace.report.parsing import parse_record
from attnreplace.rundir import RunDir, read_json, write_json
from attnreplace.splice.bundle import (
    BundleConfig,
    build_students,
    bundle_name,
    load_bundle,
    save_bundle,
)
from attnreplace.splice.splice import BundlePart, load_spliced, splice
from attnreplace.students import student_config
from attnreplace.teacher.build import TeacherConfig, build_teacher
from attnreplace.teacher.load import load_teacher
from attnreplace_cli.translate import translate as translate_command

GERMAN = ["Ein Hund.", "Zwei Männer am Herd.", "Ja.", "Eine Frau liest."]
ENGLISH = ["One dog.", "Two men at the stove.", "Yes.", "A woman reads."]
LAYERS, D, FF, HEADS, LIMIT, SHORT = 2, 16, 32, 4, 16, 4
SHAPE = TeacherConfig(
    d_model=D, encoder_layers=LAYERS, decoder_layers=1, num_heads=HEADS, d_ff=FF, max_length=LIMIT
)
QUICK = EvalConfig(beams=[1], test_sets=["test"], cost=False)


class Log(NullProgress):
    """Progress that keeps what it is told."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.tasks: dict[str, dict[str, Any]] = {}

    def note(self, message: str) -> None:
        self.notes.append(message)

    @contextmanager
    def task(self, description: str, total: int | None, done: int = 0) -> Iterator[Task]:
        entry: dict[str, Any] = {"total": total, "done": done}
        self.tasks[description] = entry

        class Entry:
            def advance(self, steps: int = 1, **figures: float | str) -> None:
                entry["done"] += steps
                entry.update(figures)

        yield Entry()


def make_run(path: Path) -> RunDir:
    """A run with a corpus of two test sets and a random teacher."""
    run = RunDir(path / "run")
    data = path / "data"
    data.mkdir(parents=True)
    for name, pick in (("train", slice(None)), ("test", slice(None)), ("tst2", slice(2, None))):
        (data / f"{name}.de").write_text("\n".join(GERMAN[pick]) + "\n", encoding="utf-8")
        (data / f"{name}.en").write_text("\n".join(ENGLISH[pick]) + "\n", encoding="utf-8")
    RunConfig(data=DataConfig(data_dir=str(data))).save(run.config_path)
    make_teacher(run, seed=0)
    return run


def make_teacher(run: RunDir, seed: int, **shape: int) -> None:
    """Put a random teacher into the run."""
    tokenizer = train_tokenizer(GERMAN + ENGLISH, 340)
    torch.manual_seed(seed)
    model = build_teacher(dataclasses.replace(SHAPE, **shape), tokenizer)
    with torch.no_grad():  # The source shows in the hypotheses.
        model.get_decoder().layers[0].encoder_attn.out_proj.weight.mul_(3)
    model.save_pretrained(run.teacher)
    tokenizer.save_pretrained(run.teacher)
    record = {"config": {"teacher": {"max_length": LIMIT}}}
    (run.teacher / "training.json").write_text(json.dumps(record), encoding="utf-8")


def add_bundle(
    run: RunDir,
    method: str,
    size: str,
    group: Group = "encoder",
    *,
    layers: int = LAYERS,
    positions: int = LIMIT,
    shift: float = 1,
    **shape: Any,
) -> None:
    """Put a bundle whose students are not as they were initialised into the run."""
    teacher = load_teacher(run.teacher)
    host = host_for(teacher.model)
    sites = [s for s in host.sites(teacher.model) if s.group == group and s.layer < layers]
    config = BundleConfig(
        name=bundle_name(method, size, group, **shape),
        method=method,
        family=shape.get("family", "shallow_ff"),
        size=size,
        positions=positions,
        students={
            str(site): student_config(
                get_method(method), size, host.locate(teacher.model, site), positions, **shape
            )
            for site in sites
        },
        teacher_digest=teacher.digest,
        tokenizer_digest=teacher.tokenizer_digest,
        recipe="modern",
        seed=3,
        training={"relative_mse": {str(site): 0.25 for site in sites}},
    )
    students = build_students(config, seed=3)
    with torch.no_grad():
        for student in students.values():
            for parameter in student.parameters():
                parameter.add_(shift * torch.randn(parameter.shape))
    save_bundle(run.students / config.name, config, students)


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    """A run with a teacher and no students."""
    return make_run(tmp_path)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RunDir, list[Record], Log]]:
    """A run with everything in it, evaluated with costs."""
    run, log = make_run(tmp_path_factory.mktemp("whole")), Log()
    for method, size in (("alr", "m"), ("alrr", "s"), ("elr", "xs")):
        add_bundle(run, method, size)
    records = evaluate(run, EvalConfig(beams=[2]), progress=log)
    yield run, records, log


SYSTEMS = [
    "teacher", "removed", "untrained-alr-m", "untrained-alrr-s", "untrained-elr-xs", "alr-m",
    "alrr-s", "elr-xs",
]  # fmt: skip


def test_every_system_is_recorded_on_every_test_set(
    whole: tuple[RunDir, list[Record], Log],
) -> None:
    run, records, log = whole
    expected = [(system, test_set) for system in SYSTEMS for test_set in ("test", "tst2")]
    assert [(r["system"]["name"], r["test_set"]) for r in records] == expected
    names = {f"{system}.{test_set}.beam2" for system, test_set in expected}
    assert {path.name for path in run.results.iterdir()} == (
        {f"{name}.json" for name in names} | {f"{name}.translations.jsonl" for name in names}
    )
    for record, (system, test_set) in zip(records, expected, strict=True):
        assert read_json(run.results / f"{system}.{test_set}.beam2.json") == record
        assert record["decoding"]["beam"] == 2
        task = log.tasks[f"{system}, {test_set}, beam 2"]
        assert task["total"] == task["done"] == record["sentences"]
        assert task["bleu"] == record["scores"]["bleu"]["score"]


def test_records_have_the_documented_fields_and_the_report_reads_them(
    whole: tuple[RunDir, list[Record], Log],
) -> None:
    run, records, _ = whole
    text = json.dumps(records, ensure_ascii=False)
    assert not any(sentence in text for sentence in GERMAN + ENGLISH)
    teacher = load_teacher(run.teacher)
    for record in records:
        # A record of translation says nothing of tasks.
        absent = {"task", "metric", "over_long"}
        if record["system"]["kind"] == "teacher":
            absent.add("significance")
        assert set(record) == set(Record.__annotations__) - absent
        assert record["cost"] is not None and set(record["cost"]) == set(Cost.__annotations__)
        parsed = parse_record(record, "record")
        assert parsed.encoder_flops == record["cost"]["flops_per_token"]
        assert parsed.decoder_flops == record["cost"]["decoder_flops_per_token"]
        assert parsed.state.keys() == {1, 64}
        assert parsed.latency[64].generate is not None
        assert record["digests"]["teacher"] == teacher.digest
        assert record["pair"] == "de-en"
        student = record["system"]["kind"] == "student"
        assert (record["digests"]["bundle"] is not None) == student
        assert (record["recipe"] == "modern") == student
        assert record["relative_mse"] == (
            dict.fromkeys(record["system"]["sites"], 0.25) if student else None
        )
        assert record["seed"] == (3 if student or "untrained" in parsed.name else None)


def test_scores_are_those_of_the_translations_on_disk(
    whole: tuple[RunDir, list[Record], Log],
) -> None:
    run, records, _ = whole
    teacher = load_teacher(run.teacher)
    path = run.students / "alrr-s"
    config, _ = load_bundle(path)
    models = {
        "teacher": teacher.model,
        "alrr-s": load_spliced(teacher.model, path),
        "untrained-alrr-s": splice(
            copy.deepcopy(teacher.model), config, build_students(config, config.seed)
        ),
    }
    for record in records:
        name, beam = record["system"]["name"], record["decoding"]["beam"]
        path = run.results / f"{name}.{record['test_set']}.beam{beam}.translations.jsonl"
        lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        start = 0 if record["test_set"] == "test" else 2
        assert [line["source"] for line in lines] == GERMAN[start:]
        assert [line["reference"] for line in lines] == ENGLISH[start:]
        hypotheses = [line["hypothesis"] for line in lines]
        assert record["scores"] == score(hypotheses, ENGLISH[start:])
        if name in models:
            assert hypotheses == translate(
                models[name], teacher.tokenizer, GERMAN[start:], beam=beam, max_length=LIMIT,
                over_long="truncate",
            ).hypotheses  # fmt: skip


def test_costs_follow_from_what_a_method_replaces(
    whole: tuple[RunDir, list[Record], Log],
) -> None:
    _, records, _ = whole
    costs = {record["system"]["name"]: record["cost"] for record in records}
    one, norm = D * D + D, 2 * D
    feed_forward = D * FF + FF + FF * D + D
    replaced = {
        "teacher": 0,
        "removed": 4 * one,
        "alr-m": 3 * one,
        "alrr-s": 4 * one + norm,
        "elr-xs": 4 * one + 2 * norm + feed_forward,
    }
    hidden = {"alr-m": LIMIT * D // 8, "alrr-s": LIMIT * D // 128, "elr-xs": LIMIT * D // 256}
    teacher = costs["teacher"]
    assert teacher is not None
    length = teacher["source_tokens"]
    kept = {"alr-m": 2 * D * D + 4 * D * FF, "alrr-s": 4 * D * FF, "elr-xs": 0}
    for name, count in replaced.items():
        cost = costs[name]
        assert cost is not None
        assert cost["parameters"]["replaced"] == LAYERS * count
        width = LIMIT * D
        student = 0
        if name in hidden:
            h = hidden[name]
            student = 2 * width + (width + 1) * h + 2 * h + (h + 1) * width
            products = 4 * length * D * h  # of one sentence: into h values, and out of them
            assert cost["flops_per_token"] * length == LAYERS * (products + length * kept[name])
        assert cost["parameters"]["replacement"] == LAYERS * student
        assert cost["parameters"]["model"] == (
            teacher["parameters"]["model"] + LAYERS * (student - count)
        )
        assert cost["decoder_flops_per_token"] == teacher["decoder_flops_per_token"]
    assert teacher["flops_per_token"] == LAYERS * (8 * D * D + 4 * D * FF + 4 * length * D)
    removed = costs["removed"]
    assert removed is not None and removed["flops_per_token"] == LAYERS * 4 * D * FF
    # Training changes no cost but the time.
    assert costs["untrained-alr-m"]["parameters"] == costs["alr-m"]["parameters"]
    # One measurement a system.
    for record in records:
        assert record["cost"] == costs[record["system"]["name"]]


def test_only_what_changed_is_evaluated_again(run: RunDir) -> None:
    add_bundle(run, "alrr", "s")
    add_bundle(run, "elr", "s")
    config = EvalConfig(beams=[1, 2], test_sets=["test"], cost=False)
    first = evaluate(run, config)
    before = {path: path.stat().st_mtime_ns for path in run.results.iterdir()}

    log = Log()
    assert evaluate(run, config, progress=log) == first
    assert {path: path.stat().st_mtime_ns for path in run.results.iterdir()} == before
    assert log.tasks == {}
    assert "alrr-s: 2 of 2 records are up to date and kept" in log.notes

    # A missing translation, another beam, other students: that, and nothing else.
    (run.results / "teacher.test.beam2.translations.jsonl").unlink()
    add_bundle(run, "elr", "s", shift=2)
    log = Log()
    evaluate(run, EvalConfig(beams=[1, 2], test_sets=["test"], cost=False), progress=log)
    assert list(log.tasks) == [
        "teacher, test, beam 2",
        "elr-s, test, beam 1",
        "elr-s, test, beam 2",
        "significance",
    ]

    log = Log()
    evaluate(
        run, EvalConfig(beams=[1], test_sets=["test"], cost=False, over_long="teacher"),
        bundles=["elr-s"], progress=log,
    )  # fmt: skip
    systems = ("teacher", "removed", "untrained-elr-s", "elr-s")
    assert list(log.tasks) == [*(f"{name}, test, beam 1" for name in systems), "significance"]


def test_cost_can_be_measured_anew(run: RunDir) -> None:
    config = EvalConfig(beams=[1, 2], test_sets=["test"])
    first = evaluate(run, config)
    log = Log()
    second = evaluate(run, config, remeasure=True, progress=log)
    assert [name for name in log.tasks if "cost" not in name] == []
    for before, after in zip(first, second, strict=True):
        assert before["cost"] and after["cost"] and before["cost"] != after["cost"]
        assert before["cost"]["flops_per_token"] == after["cost"]["flops_per_token"]
        assert before | {"cost": None} == after | {"cost": None}
        name, beam = after["system"]["name"], after["decoding"]["beam"]
        assert read_json(record_path(run.results, name, "test", f"beam{beam}")) == after


def test_an_untrained_student_of_another_shape_is_evaluated_again(run: RunDir) -> None:
    add_bundle(run, "alrr", "s")
    evaluate(run, QUICK)
    add_bundle(run, "alrr", "s", positions=2 * LIMIT)
    log = Log()
    evaluate(run, QUICK, progress=log)
    assert list(log.tasks) == [
        "untrained-alrr-s, test, beam 1",
        "alrr-s, test, beam 1",
        "significance",
    ]


def test_cost_asked_for_later_is_measured_later(run: RunDir) -> None:
    add_bundle(run, "alr", "s")
    free = EvalConfig([1], ["test"], baselines=False, cost=False)
    before = evaluate(run, free)
    assert [record["cost"] for record in before] == [None] * 2
    texts = translated(run)

    log, costly = Log(), dataclasses.replace(free, cost=True)
    measured = evaluate(run, costly, progress=log)
    # Nothing is translated again.
    assert list(log.tasks) == ["teacher, cost", "alr-s, cost", "significance"]
    assert translated(run) == texts
    other = {"cost": None, "inputs_digest": "", "significance": None}
    for old, new in zip(before, measured, strict=True):
        assert new["cost"] is not None
        assert old | other == new | other
        name = new["system"]["name"]
        assert read_json(record_path(run.results, name, "test", "beam1")) == new
    assert [new["significance"]["p"] for new in measured[1:]] == [before[1]["significance"]["p"]]

    # Such a record is as good as one that was made with its cost.
    log = Log()
    assert evaluate(run, costly, progress=log) == measured
    assert log.tasks == {}
    # What was measured stays when another beam width joins.
    both = evaluate(run, dataclasses.replace(costly, beams=[1, 2]))
    assert [r["cost"] for r in both] == [r["cost"] for r in measured for _ in range(2)]


def test_what_was_measured_stays_where_no_cost_is_asked_for(run: RunDir) -> None:
    add_bundle(run, "alr", "s")
    costly = EvalConfig([1], ["test"], baselines=False)
    measured = evaluate(run, costly)
    before = {path: path.stat().st_mtime_ns for path in run.results.iterdir()}
    free, log = dataclasses.replace(costly, cost=False), Log()
    assert evaluate(run, free, progress=log) == measured
    assert evaluate(run, costly, progress=log) == measured
    assert {path: path.stat().st_mtime_ns for path in run.results.iterdir()} == before
    assert log.tasks == {}

    # Another beam width is translated, and no more than that is made without a cost.
    log = Log()
    records = evaluate(run, dataclasses.replace(free, beams=[1, 2]), progress=log)
    assert list(log.tasks) == ["teacher, test, beam 2", "alr-s, test, beam 2", "significance"]
    assert [records[0], records[2]] == measured
    assert [records[1]["cost"], records[3]["cost"]] == [None] * 2
    # It takes over the cost that there is.
    records = evaluate(run, dataclasses.replace(costly, beams=[1, 2]), progress=(log := Log()))
    assert list(log.tasks) == ["significance"]
    assert [r["cost"] for r in records] == [r["cost"] for r in measured for _ in range(2)]


def test_a_cost_of_another_device_stays_where_none_is_asked_for(run: RunDir) -> None:
    costly = EvalConfig([1], ["test"], baselines=False)
    [record] = evaluate(run, costly)
    assert record["inputs_digest"] == teacher_inputs(record, "cpu") and record["cost"]
    record["inputs_digest"] = teacher_inputs(record, "cuda")
    record["cost"]["device"] = "some GPU"
    write_json(record_path(run.results, "teacher", "test", "beam1"), record)
    assert evaluate(run, dataclasses.replace(costly, cost=False)) == [record]
    [anew] = evaluate(run, costly)
    assert anew["cost"] is not None and anew["cost"]["device"] == "cpu"


def translated(run: RunDir) -> dict[Path, int]:
    """When the translations of a run were written."""
    return {path: path.stat().st_mtime_ns for path in run.results.glob("*.jsonl")}


@pytest.mark.parametrize("policy", ["truncate", "teacher"])
def test_sentences_over_the_limit_are_counted(run: RunDir, policy: str) -> None:
    record = run.teacher / "training.json"
    record.write_text(json.dumps({"config": {"teacher": {"max_length": SHORT}}}), encoding="utf-8")
    add_bundle(run, "alrr", "s")
    records = evaluate(run, EvalConfig([1], ["test"], policy, cost=False))
    teacher = load_teacher(run.teacher)
    long = [len(ids) > SHORT for ids in teacher.tokenizer(GERMAN)["input_ids"]]
    assert 0 < sum(long) < len(long)
    for entry in records:
        assert entry["sentences"] == len(GERMAN)
        assert entry["decoding"]["over_long"] == {
            "policy": policy,
            "limit": SHORT,
            "count": sum(long),
        }
    texts = {
        name: (run.results / f"{name}.test.beam1.translations.jsonl").read_text().splitlines()
        for name in ("teacher", "alrr-s")
    }
    same = [a == b for a, b in zip(texts["teacher"], texts["alrr-s"], strict=True)]
    assert not all(same)
    if policy == "teacher":
        assert all(equal for equal, over in zip(same, long, strict=True) if over)


def test_the_error_policy_stops_at_the_first_system(run: RunDir) -> None:
    record = run.teacher / "training.json"
    record.write_text(json.dumps({"config": {"teacher": {"max_length": SHORT}}}), encoding="utf-8")
    with pytest.raises(UserError, match=f"the limit is {SHORT}"):
        evaluate(run, EvalConfig([1], ["test"], "error", cost=False))
    assert not run.results.exists() or list(run.results.iterdir()) == []


def test_without_students_the_teacher_is_evaluated_and_a_note_says_how_to_make_some(
    run: RunDir,
) -> None:
    log = Log()
    records = evaluate(run, QUICK, progress=log)
    assert [r["system"]["kind"] for r in records] == ["teacher", "removed"]
    assert records[1]["system"]["sites"] == ["encoder.self.0", "encoder.self.1"]
    assert any("attnreplace distill" in note for note in log.notes)
    # Attention matters to this teacher: without it the translations are others.
    texts = [
        (run.results / f"{name}.test.beam1.translations.jsonl").read_text()
        for name in ("teacher", "removed")
    ]
    assert texts[0] != texts[1]


def test_attention_is_removed_where_bundles_replace_it(run: RunDir) -> None:
    add_bundle(run, "alrr", "s", layers=1)
    records = evaluate(run, QUICK)
    assert [r["system"]["sites"] for r in records[1:]] == [["encoder.self.0"]] * 3


def test_families_are_told_apart_and_have_baselines_of_their_own(run: RunDir) -> None:
    add_bundle(run, "alr", "xs")
    add_bundle(run, "alr", "xs", family="sgu")
    add_bundle(run, "alr", "xs", family="sgu", spatial="dense")
    add_bundle(run, "alr", "xs", "decoder", family="sgu")
    add_bundle(run, "alr", "xs", family="amlp")
    records = {r["system"]["name"]: r["system"] for r in evaluate(run, QUICK)}
    sgu = ["alr-xs-sgu", "alr-xs-sgu-decoder"]
    alone = ["alr-xs", "alr-xs-amlp", "alr-xs-sgu", "alr-xs-sgu-decoder", "alr-xs-sgu-dense"]
    students = [name for name, system in records.items() if system["kind"] == "student"]
    assert students == [*alone, "+".join(sgu)]
    untrained = [name for name, system in records.items() if system["kind"] == "untrained"]
    assert sorted(untrained) == [f"untrained-{name}" for name in alone]
    labels = {name: system["label"] for name, system in records.items()}
    assert labels["untrained-alr-xs-amlp"] == ("ALR-XS aMLP, contains attention, untrained")
    assert labels["alr-xs-sgu-dense"] == "ALR-XS SGU, dense"
    assert labels["+".join(sgu)] == "ALR-XS SGU encoder + decoder"
    assert records["+".join(sgu)]["family"] == "sgu"


def test_only_asked_bundles_and_no_baselines(run: RunDir) -> None:
    for size in ("xs", "s"):
        add_bundle(run, "alr", size)
    config = EvalConfig([1], ["test"], baselines=False, cost=False)
    records = evaluate(run, config, bundles=["alr-xs"])
    assert [r["system"]["name"] for r in records] == ["teacher", "alr-xs"]
    # The baseline of a method does not depend on which of its bundles are asked for.
    records = evaluate(run, QUICK, bundles=["alr-xs"])
    assert [r["system"]["name"] for r in records][2:] == ["untrained-alr-s", "alr-xs"]


@pytest.fixture(scope="module")
def everything(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[RunDir, dict[str, Record]]]:
    """A run with students for all attention, evaluated with costs; records by system."""
    run = make_run(tmp_path_factory.mktemp("everything"))
    for group in GROUPS:
        add_bundle(run, "alr", "s", group)
    add_bundle(run, "alr", "s", "cross", cross_form="paper")
    add_bundle(run, "alr", "xs", "decoder")
    records = evaluate(run, EvalConfig(beams=[2], test_sets=["test"]))
    yield run, {record["system"]["name"]: record for record in records}


TOGETHER = "alr-s+alr-s-decoder+alr-s-cross"


def test_all_groups_alone_and_together_with_their_baselines(
    everything: tuple[RunDir, dict[str, Record]],
) -> None:
    _, records = everything
    assert list(records) == [
        "teacher", "removed", "removed-decoder", "removed-cross", "removed-all",
        "untrained-alr-s", "untrained-alr-s-cross", "untrained-alr-s-cross-paper",
        "untrained-alr-s-decoder", "alr-s", "alr-s-cross", "alr-s-cross-paper", "alr-s-decoder",
        "alr-xs-decoder", TOGETHER,
    ]  # fmt: skip
    labels = {name: record["system"]["label"] for name, record in records.items()}
    assert labels["alr-s-cross-paper"] == "ALR-S cross, paper's non-causal form"
    assert labels["untrained-alr-s-cross"] == "ALR-S cross, untrained"
    assert labels[TOGETHER] == "ALR-S all"
    encoder = ["encoder.self.0", "encoder.self.1"]
    for name in ("removed-all", TOGETHER):
        system = records[name]["system"]
        assert system["sites"] == [*encoder, "decoder.self.0", "decoder.cross.0"]
        assert system["groups"] == ["encoder", "decoder", "cross"]
    assert [part["bundle"] for part in records[TOGETHER]["system"]["parts"]] == TOGETHER.split("+")
    digests = [records[name]["digests"]["bundle"] for name in (*TOGETHER.split("+"), TOGETHER)]
    assert len(set(digests)) == 4 and None not in digests
    parts = records[TOGETHER]["system"]["parts"]
    assert [part["digest"] for part in parts] == digests[:3]
    assert records[TOGETHER]["relative_mse"] == dict.fromkeys(parts_sites(parts), 0.25)


def parts_sites(parts: list[Any]) -> list[str]:
    """Sites of all parts."""
    return [site for part in parts for site in part["sites"]]


def test_a_system_of_several_bundles_is_what_splicing_them_gives(
    everything: tuple[RunDir, dict[str, Record]],
) -> None:
    run, _ = everything
    teacher = load_teacher(run.teacher)
    model = load_spliced(teacher.model, [run.students / name for name in TOGETHER.split("+")])
    path = run.results / f"{TOGETHER}.test.beam2.translations.jsonl"
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert [line["hypothesis"] for line in lines] == translate(
        model, teacher.tokenizer, GERMAN, beam=2, max_length=LIMIT, over_long="truncate"
    ).hypotheses
    for name in ("alr-s", "alr-s-cross", "teacher", "removed-all", "removed-decoder"):
        other = (run.results / f"{name}.test.beam2.translations.jsonl").read_text(encoding="utf-8")
        assert other != path.read_text(encoding="utf-8"), name


def test_cost_of_what_is_replaced_in_the_decoder(
    everything: tuple[RunDir, dict[str, Record]],
) -> None:
    _, records = everything
    costs = {name: record["cost"] for name, record in records.items()}
    teacher, whole = costs["teacher"], costs[TOGETHER]
    assert teacher is not None and whole is not None
    parts = [costs[name] for name in TOGETHER.split("+")]
    for field in ("replaced", "replacement"):
        assert whole["parameters"][field] == sum(part["parameters"][field] for part in parts)
    encoder, decoder, cross = parts
    assert decoder["flops_per_token"] == cross["flops_per_token"] == teacher["flops_per_token"]
    assert whole["flops_per_token"] == encoder["flops_per_token"] != teacher["flops_per_token"]
    # What a part saves or costs, it saves or costs in company as well.
    assert whole["decoder_flops_per_token"] - teacher["decoder_flops_per_token"] == pytest.approx(
        sum(p["decoder_flops_per_token"] - teacher["decoder_flops_per_token"] for p in parts)
    )
    state = {name: cost["memory"]["state_batch_1"] for name, cost in costs.items() if cost}
    assert state["alr-s-cross-paper"] == state["removed-all"] == 0
    assert state["teacher"] == state["alr-s"]
    assert state["teacher"] - state[TOGETHER] == (
        (state["teacher"] - state["alr-s-decoder"]) + (state["teacher"] - state["alr-s-cross"])
    )


def test_limits_of_both_sides_are_recorded(
    everything: tuple[RunDir, dict[str, Record]],
) -> None:
    _, records = everything
    for name, record in records.items():
        over_long = record["decoding"]["over_long"]
        # Per query, students of cross-attention answer for any number of tokens.
        decodes = any(
            part["group"] == "decoder" or part["form"] == "paper"
            for part in record["system"]["parts"]
        )
        students = record["system"]["kind"] in ("student", "untrained")
        assert ("targets" in over_long) == (decodes and students), name
        if "targets" in over_long:
            assert over_long["target_limit"] == LIMIT


@pytest.mark.parametrize("policy", ["truncate", "teacher", "error"])
def test_translations_over_the_positions_of_the_students(run: RunDir, policy: str) -> None:
    add_bundle(run, "alr", "s", "decoder", positions=2)
    config = EvalConfig([1], ["test"], policy, baselines=False, cost=False)
    if policy == "error":
        with pytest.raises(UserError, match="within the 2 positions of the students"):
            evaluate(run, config)
        return
    teacher, student = evaluate(run, config)
    over_long = student["decoding"]["over_long"]
    # A decoder's students limit what is written, not what is read.
    assert (over_long["limit"], over_long["count"]) == (LIMIT, 0)
    assert over_long["target_limit"] == 2 and over_long["targets"] == len(GERMAN)
    assert (student["scores"] == teacher["scores"]) == (policy == "teacher")


def test_some_layers_of_a_bundle(run: RunDir) -> None:
    add_bundle(run, "alr", "s")
    add_bundle(run, "alr", "s", "decoder")
    config = dataclasses.replace(QUICK, systems=["alr-s-decoder+alr-s:1"])
    records = evaluate(run, config)
    assert [r["system"]["name"] for r in records] == [
        "teacher", "removed-encoder-layers1-decoder", "alr-s:1+alr-s-decoder"
    ]  # fmt: skip
    assert records[2]["system"]["label"] == "ALR-S, layer 1 + ALR-S decoder"
    assert records[2]["system"]["sites"] == ["encoder.self.1", "decoder.self.0"]
    assert (run.results / "alr-s@1+alr-s-decoder.test.beam1.json").is_file()
    teacher = load_teacher(run.teacher)
    students = [BundlePart(run.students / "alr-s", "1"), BundlePart(run.students / "alr-s-decoder")]
    expected = translate(
        load_spliced(teacher.model, students), teacher.tokenizer, GERMAN, beam=1, max_length=LIMIT,
        over_long="truncate",
    )  # fmt: skip
    assert records[2]["scores"] == score(expected.hypotheses, ENGLISH)


def test_only_some_groups(run: RunDir) -> None:
    for group in GROUPS:
        add_bundle(run, "alr", "s", group)
    config = EvalConfig([1], ["test"], baselines=False, cost=False)
    records = evaluate(run, config, sites=["decoder", "cross"])
    assert [r["system"]["name"] for r in records] == [
        "teacher", "alr-s-cross", "alr-s-decoder", "alr-s-decoder+alr-s-cross"
    ]  # fmt: skip


def test_a_digest_is_of_what_the_file_says(run: RunDir) -> None:
    add_bundle(run, "alr", "s")
    path = run.students / "alr-s" / "config.json"
    early = read_json(path)
    # A bundle of before there were several forms.
    for student in early["students"].values():
        del student["form"], student["hidden_layers"]
    path.write_text(json.dumps(early), encoding="utf-8")
    _, _, untrained, student = evaluate(run, QUICK)
    assert student["digests"]["bundle"] == digest_json(early)
    # Records of then have none of the later fields; they are kept.
    for record in (untrained, student):
        for field in ("variant", "groups", "parts"):
            del record["system"][field]  # type: ignore[misc]
        write_json(record_path(run.results, record["system"]["name"], "test", "beam1"), record)
    log = Log()
    kept = evaluate(run, QUICK, progress=log)
    assert kept[2:] == [untrained, student] and log.tasks == {}


def test_students_of_a_former_teacher_are_refused(run: RunDir) -> None:
    add_bundle(run, "alrr", "s")
    # The new teacher has neither their width nor all of their layers.
    make_teacher(run, seed=1, encoder_layers=1, d_model=8)
    with pytest.raises(UserError, match="were trained on teacher"):
        evaluate(run, QUICK)
    # Nobody asked for them: the baselines pass them over.
    records = evaluate(run, QUICK, bundles=[])
    assert [r["system"]["sites"] for r in records] == [[], ["encoder.self.0"]]


def names_in(run: RunDir) -> set[str]:
    """The records there are."""
    return {path.name.removesuffix(".json") for path in run.results.glob("*.json")}


def test_records_of_former_students_and_sentences_are_removed(run: RunDir) -> None:
    for group in ("encoder", "decoder"):
        add_bundle(run, "alr", "s", group)
    add_bundle(run, "elr", "s")
    both = dataclasses.replace(QUICK, beams=[1, 2])
    together = "alr-s+alr-s-decoder"
    evaluate(run, both)
    # A record of before systems had parts.
    path = record_path(run.results, "elr-s", "test", "beam2")
    early = read_json(path)
    del early["system"]["parts"]
    write_json(path, early)
    before = names_in(run)
    assert f"{together}.test.beam2" in before

    # Of what was made again, nothing of before stays, whatever is asked for now.
    add_bundle(run, "alr", "s", "decoder", shift=2)
    log = Log()
    evaluate(run, QUICK, bundles=["alr-s"], progress=log)
    gone = {f"{name}.test.beam{beam}" for name in ("alr-s-decoder", together) for beam in (1, 2)}
    assert before - names_in(run) == gone
    assert any(note.startswith("records of former students are removed") for note in log.notes)

    # Other shapes, from which untrained students follow; and no students any more.
    add_bundle(run, "alr", "s", positions=LIMIT + 1)
    shutil.rmtree(run.students / "elr-s")
    before = names_in(run)
    evaluate(run, QUICK, bundles=[])
    gone = {
        f"{name}.test.beam{beam}"
        for name in ("alr-s", "untrained-alr-s", "elr-s", "untrained-elr-s")
        for beam in (1, 2)
    }
    assert before - names_in(run) == gone
    assert len(list(run.results.iterdir())) == 2 * len(names_in(run))

    # Another sentence in a test set.
    evaluate(run, EvalConfig([1], ["tst2"], cost=False), bundles=[])
    data = Path(run.config().data.data_dir or "")
    (data / "tst2.en").write_text("No.\nNo.\n", encoding="utf-8")
    before = names_in(run)
    log = Log()
    evaluate(run, QUICK, bundles=[], progress=log)
    assert before - names_in(run) == {"teacher.tst2.beam1", "removed.tst2.beam1"}
    assert any(note.startswith("records of former corpus are removed") for note in log.notes)


def test_forced_tokens_are_inputs_of_a_record(run: RunDir) -> None:
    config = dataclasses.replace(QUICK, baselines=False)
    [first] = evaluate(run, config)
    path = run.teacher / "generation_config.json"
    plain = read_json(path)
    write_json(path, plain | {"forced_bos_token_id": 7})
    [forced] = evaluate(run, config)
    assert forced["inputs_digest"] != first["inputs_digest"]
    assert forced["scores"] != first["scores"]
    # A teacher that forces nothing has the digest it always had.
    write_json(path, plain)
    [again] = evaluate(run, config)
    assert again["inputs_digest"] == first["inputs_digest"] == teacher_inputs(first, None)


def teacher_inputs(record: Record, device: str | None) -> str:
    """Digest of what decides a teacher's greedy translations, and of what cost is measured on."""
    return digest_json(
        {
            "schema": "attnreplace.result/1",
            "system": {k: record["system"][k] for k in (  # type: ignore[literal-required]
                "kind", "name", "label", "method", "family", "size", "sites"
            )},
            "shapes": None,
            "seed": None,
            "digests": record["digests"],
            "decoding": [1, record["decoding"]["max_new_tokens"], "truncate", LIMIT],
            "cost": device,
        }
    )  # fmt: skip


def test_cost_is_measured_at_one_length_whatever_is_chosen(run: RunDir) -> None:
    add_bundle(run, "alr", "s")
    [teacher] = evaluate(run, EvalConfig([1], ["tst2"], baselines=False), bundles=[])
    both = evaluate(run, EvalConfig([1], ["test"], baselines=False))
    ids = load_teacher(run.teacher).tokenizer(GERMAN)["input_ids"]
    length = round(sum(map(len, ids)) / len(ids))
    assert [r["cost"] and r["cost"]["source_tokens"] for r in (teacher, *both)] == [length] * 3
    # A kept one of another length makes way.
    other = teacher["cost"]
    assert other is not None
    other["source_tokens"] += 1
    write_json(record_path(run.results, "teacher", "tst2", "beam1"), teacher)
    log = Log()
    [anew] = evaluate(run, EvalConfig([1], ["tst2"], baselines=False), bundles=[], progress=log)
    assert anew["cost"] is not None and anew["cost"]["source_tokens"] == length
    assert list(log.tasks) == ["teacher, cost"]
    assert read_json(record_path(run.results, "teacher", "tst2", "beam1")) == anew


def test_translating_holds_one_system_at_a_time(
    run: RunDir, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for method in ("alr", "alrr", "elr"):
        add_bundle(run, method, "s")
    alive: list[int] = []
    made: list[weakref.ref[Any]] = []

    def watched(*args: Any) -> Any:
        gc.collect()
        alive.append(sum(model() is not None for model in made))
        model = load_spliced(*args)
        made.append(weakref.ref(model))
        return model

    monkeypatch.setattr("attnreplace.evaluate.systems.load_spliced", watched)
    translate_command(text=[GERMAN[0]], bundle=None, beam=1, run=run.path)
    assert alive == [0, 0, 0]
    shown = capsys.readouterr().out
    assert all(name in shown for name in ("teacher", "alr-s", "alrr-s", "elr-s"))


def test_missing_and_unknown_things_are_named(run: RunDir) -> None:
    add_bundle(run, "alrr", "s")
    with pytest.raises(UserError, match="unknown bundle 'alr-m'; valid: alrr-s"):
        evaluate(run, QUICK, bundles=["alr-m"])
    with pytest.raises(UserError, match=r"'alrr-s' and 'alrr-s' both replace encoder\.self\.0"):
        evaluate(run, QUICK, bundles=["alrr-s+alrr-s"])
    with pytest.raises(UserError, match="unknown test set 'tst3'; valid: test, tst2"):
        evaluate(run, EvalConfig([1], ["tst3"]))
    shutil.rmtree(run.teacher)
    with pytest.raises(UserError, match="run `attnreplace train` first"):
        evaluate(run, QUICK)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"beams": []}, "at least one beam"),
        ({"beams": [0]}, "whole number from 1; got 0"),
        ({"beams": [True]}, "whole number from 1; got True"),
        ({"over_long": "drop"}, "valid: error, truncate, teacher"),
        ({"batch_tokens": 0}, "at least 1"),
        ({"device": "tpu"}, "valid: auto, cpu, cuda"),
    ],
)
def test_a_config_that_makes_no_sense_is_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        EvalConfig(**fields)


def test_a_gpu_that_is_not_there_is_refused(run: RunDir) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(UserError, match="no GPU"):
        evaluate(run, EvalConfig(device="cuda"))
