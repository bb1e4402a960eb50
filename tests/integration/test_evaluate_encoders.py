"""The evaluation stage and the report over runs whose teachers have no decoder."""

import copy
import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import (
    BertConfig,
    BertForMaskedLM,
    BertModel,
    PreTrainedModel,
    ViTConfig,
    ViTForImageClassification,
)

from attnreplace.data.config import DataConfig
from attnreplace.errors import UserError
from attnreplace.evaluate.config import EvalConfig
from attnreplace.evaluate.cost import encoder_flops
from attnreplace.evaluate.evaluate import evaluate
from attnreplace.evaluate.record import Record
from attnreplace.hosts import host_for
from attnreplace.methods import get_method
from attnreplace.models import GMLPForImageClassification, GMLPVisionConfig
from attnreplace.report.publish import publish
from attnreplace.report.records import load_records
from attnreplace.report.report import write_report
from attnreplace.report.tables import markdown_table, results_table
from attnreplace.rundir import RunDir, read_json, write_json
from attnreplace.splice.bundle import BundleConfig, build_students, bundle_name, save_bundle
from attnreplace.students import student_config
from attnreplace.teacher.load import load_teacher
from attnreplace_cli.main import main

from ..conftest import word_tokenizer

WORDS = ["seven", "quiet", "geese", "watch", "rain", "fall", "on", "old", "stone", "bridges"]
POSITIONS, D, FF, LAYERS = 12, 16, 24, 2
SHAPE = {
    "hidden_size": D,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": 4,
    "intermediate_size": FF,
}
QUICK = EvalConfig(cost=False)


def put_teacher(run: RunDir, model: PreTrainedModel, text: bool) -> None:
    """A random model whose weights are large, so that attention matters, as a teacher."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    model.save_pretrained(run.teacher)
    if text:
        word_tokenizer(WORDS).save_pretrained(run.teacher)


def make_run(path: Path, kind: str) -> RunDir:
    """A run of images ("image"), of masked text ("mlm"), or whose model has no head ("bare")."""
    run = RunDir(path / kind)
    torch.manual_seed(0)
    if kind == "image":
        data = DataConfig(task="image", train_size=20, validation_size=10)
        shape = {"image_size": 8, "patch_size": 4, "num_labels": 10}
        put_teacher(run, ViTForImageClassification(ViTConfig(**SHAPE, **shape)), text=False)
    else:
        folder, draw = path / f"data-{kind}", random.Random(0)
        folder.mkdir(parents=True)
        for split in ("train", "validation", "test"):
            lines = [" ".join(draw.choices(WORDS, k=draw.randint(2, 9))) for _ in range(30)]
            (folder / f"{split}.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
        data = DataConfig(task="mlm", data_dir=str(folder))
        shape = {"vocab_size": len(WORDS) + 5, "max_position_embeddings": POSITIONS}
        config = BertConfig(**SHAPE, **shape, pad_token_id=0)
        put_teacher(run, (BertModel if kind == "bare" else BertForMaskedLM)(config), text=True)
    run.update_config(data=data)
    return run


def add_bundle(run: RunDir, method: str, size: str, positions: int | None = None) -> None:
    """Put students that are not as they were initialised into the run."""
    teacher = load_teacher(run.teacher)
    host, positions = host_for(teacher.model), positions or teacher.max_length
    sites = host.sites(teacher.model)
    config = BundleConfig(
        name=bundle_name(method, size, "encoder"),
        method=method,
        family="shallow_ff",
        size=size,
        positions=positions,
        students={
            str(site): student_config(
                get_method(method), size, host.locate(teacher.model, site), positions
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
                parameter.add_(0.05 * torch.randn(parameter.shape))
    save_bundle(run.students / config.name, config, students)
    write_json(run.students / config.name / "history.json", [])


Evaluated = dict[str, tuple[RunDir, list[Record]]]


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory: pytest.TempPathFactory) -> Evaluated:
    """A run of each kind with students, evaluated with costs by what its task is judged by."""
    path, found = tmp_path_factory.mktemp("encoders"), {}
    for kind in ("image", "mlm", "bare"):
        run = make_run(path, kind)
        add_bundle(run, "alr", "s")
        add_bundle(run, "elr", "xs")
        found[kind] = run, evaluate(run, EvalConfig())
    return found


Cli = Callable[..., tuple[int, str, str]]


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Cli:
    """Runs the program; gives its exit code, output and errors, each on one line."""

    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["attnreplace", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            main()
        out, err = (" ".join(text.split()) for text in capsys.readouterr())
        return int(end.value.code or 0), out, err

    return call


METRICS = {"image": "accuracy", "mlm": "perplexity", "bare": "similarity"}
SYSTEMS = ["teacher", "removed", "untrained-alr-s", "untrained-elr-xs", "alr-s", "elr-xs"]
every_kind = pytest.mark.parametrize("kind", METRICS)


@every_kind
def test_every_system_has_a_record(evaluated: Evaluated, kind: str) -> None:
    run, records = evaluated[kind]
    metric = METRICS[kind]
    assert [record["system"]["name"] for record in records] == SYSTEMS
    names = {f"{system}.test.{metric}" for system in SYSTEMS}
    assert {path.name for path in run.results.iterdir()} == (
        {f"{name}.json" for name in names} | {f"{name}.predictions.jsonl" for name in names}
    )
    assert {metric} <= set.intersection(*(set(record["scores"]) for record in records))
    # A few images may be right by chance in any system: the last score is the finer one.
    finest = [list(record["scores"].values())[-1]["score"] for record in records]
    assert len(set(finest)) == len(finest), "what is spliced in or taken out shows"
    teacher = load_teacher(run.teacher)
    for record in records:
        assert record == read_json(run.results / f"{record['system']['name']}.test.{metric}.json")
        assert record["metric"] == metric and next(iter(record["scores"])) == metric
        assert record["task"] == ("image" if kind == "image" else "mlm")
        assert not {"decoding", "pair"} & record.keys()
        assert record["digests"]["test_set"] == run.corpus().test_digest("test")
        assert record["digests"]["tokenizer"] == teacher.tokenizer_digest
        beside = run.results / f"{record['system']['name']}.test.{metric}.predictions.jsonl"
        lines = [json.loads(line) for line in beside.read_text().splitlines()]
        assert len(lines) == record["sentences"]


def test_what_lies_beside_gives_the_accuracy(evaluated: Evaluated) -> None:
    run, records = evaluated["image"]
    labels = run.corpus().tests["test"].labels
    for record in records:
        name = record["system"]["name"]
        text = (run.results / f"{name}.test.accuracy.predictions.jsonl").read_text()
        lines = [json.loads(line) for line in text.splitlines()]
        assert [line["label"] for line in lines] == labels
        right = sum(line["label"] == line["prediction"] for line in lines)
        assert record["scores"]["accuracy"]["score"] == pytest.approx(100 * right / len(labels))


@every_kind
def test_costs_are_of_the_encoder_alone(evaluated: Evaluated, kind: str) -> None:
    run, records = evaluated[kind]
    costs = {record["system"]["name"]: record["cost"] for record in records}
    one = D * D + D
    kept = {"teacher": 0, "removed": 4, "alr-s": 3, "elr-xs": 4}
    if kind != "image":  # Where the out-projection stands behind, it stays.
        kept["removed"] = 3
    teacher = costs["teacher"]
    assert teacher is not None
    length = 5 if kind == "image" else teacher["source_tokens"]
    assert teacher["source_tokens"] == length
    for name, cost in costs.items():
        assert cost is not None
        assert not {"decoder_flops_per_token", "new_tokens"} & cost.keys()
        assert set(cost["memory"]) == {"parameters", "batch_1", "batch_64"}
        for latency in cost["latency"].values():
            assert set(latency) == {"encoder"} and latency["encoder"]["median_s"] > 0
        if name in ("teacher", "alr-s"):
            assert cost["parameters"]["replaced"] == LAYERS * kept[name] * one
    per_layer = 8 * D * D + 4 * D * FF + 4 * length * D
    # Beside the layers there are the patches of an image, and the pooler of a bare BERT.
    more = {"image": 4 * 2 * D * 4 * 4 * 3, "bare": 2 * D * D, "mlm": 0}[kind]
    assert teacher["flops_per_token"] * length == pytest.approx(LAYERS * length * per_layer + more)
    assert encoder_flops(load_teacher(run.teacher).model, length) == pytest.approx(
        teacher["flops_per_token"] * length
    )


@every_kind
def test_unchanged_records_are_kept(evaluated: Evaluated, kind: str, tmp_path: Path) -> None:
    source, records = evaluated[kind]
    run = RunDir(tmp_path / "run")
    shutil.copytree(source.path, run.path)
    before = {path: path.stat().st_mtime_ns for path in run.results.iterdir()}
    assert evaluate(run, EvalConfig(batch_tokens=7)) == records
    assert {path: path.stat().st_mtime_ns for path in run.results.iterdir()} == before
    # What lies beside is missing, or the students are others: that, and nothing else.
    next(run.results.glob("teacher.*.jsonl")).unlink()
    shutil.rmtree(run.students / "alr-s")
    add_bundle(run, "alr", "s")
    config = read_json(run.students / "alr-s" / "config.json")
    write_json(run.students / "alr-s" / "config.json", config | {"recipe": "paper"})
    evaluate(run, EvalConfig())
    changed = {path.name.partition(".")[0] for path in run.results.glob("*.json")} - {
        path.name.partition(".")[0] for path, time in before.items()
        if path.is_file() and path.stat().st_mtime_ns == time
    }  # fmt: skip
    assert changed == {"teacher", "alr-s"}


def test_one_run_can_be_scored_in_two_ways(evaluated: Evaluated, tmp_path: Path) -> None:
    source, _ = evaluated["mlm"]
    run = RunDir(tmp_path / "run")
    shutil.copytree(source.path, run.path)
    records = evaluate(run, QUICK, ["alr-s"], metric="similarity")
    assert records[0]["scores"]["similarity"]["score"] == pytest.approx(1)
    header, rows = results_table(load_records(run.results), cost=False)
    assert header == [
        "System", "Perplexity", "Masked accuracy", "Similarity", "Cross-entropy",
        "Perplexity, relative",
    ]  # fmt: skip
    assert [row[0] for row in rows].count("ALR-S") == 1
    assert "masked perplexity goes from" in write_report(run).read_text(encoding="utf-8")


@pytest.mark.parametrize(("kind", "flag"), [("image", "--bleu"), ("mlm", "--accuracy")])
def test_a_metric_that_the_task_has_not_is_refused(
    evaluated: Evaluated, kind: str, flag: str, cli: Cli
) -> None:
    run, _ = evaluated[kind]
    code, _, error = cli("eval", flag, "--run", run.path)
    assert code == 2 and f"have no {flag[2:]}; use --{METRICS[kind]}" in error
    code, _, error = cli("eval", "--bleu", "--accuracy", "--run", run.path)
    assert code == 2 and "one at a time: --bleu or --accuracy" in error


def test_students_of_too_few_positions_are_refused(tmp_path: Path) -> None:
    run = make_run(tmp_path, "mlm")
    add_bundle(run, "alr", "xs", positions=8)
    with pytest.raises(UserError, match=r"alr-xs read at most 8 tokens and blocks .* have 12"):
        evaluate(run, QUICK)


@every_kind
def test_the_program_shows_and_reports_them(evaluated: Evaluated, kind: str, cli: Cli) -> None:
    run, _ = evaluated[kind]
    metric = METRICS[kind]
    code, out, _ = cli("eval", f"--{metric}", "--run", run.path)
    assert code == 0 and "ALR-S" in out and metric.title() in out and "Translate" not in out
    code, out, _ = cli("inspect", run.path)
    assert code == 0 and metric.title() in out and "teacher present" in out
    code, out, _ = cli("inspect", run.results / f"alr-s.test.{metric}.json")
    assert code == 0 and f"scores.{metric}.score" in out
    assert cli("report", "--run", run.path)[0] == 0
    text = run.report.read_text(encoding="utf-8").rpartition('id="settings"')[0]
    assert "BLEU" not in text and "beam" not in text and "Translation" not in text
    assert {path.name for path in run.path.glob("quality_*.png")} == {
        "quality_parameters.png", "quality_latency.png"
    }  # fmt: skip


@pytest.fixture
def scratch(evaluated: Evaluated, tmp_path: Path) -> RunDir:
    """A gMLP on the same images, which has no attention to replace."""
    run, config = RunDir(tmp_path / "gmlp"), evaluated["image"][0].config()
    shape = {"image_size": 8, "patch_size": 4, "num_hidden_layers": 2, "num_labels": 10}
    model = GMLPForImageClassification(
        GMLPVisionConfig(hidden_size=D, intermediate_size=FF, **shape)
    )
    put_teacher(run, model, text=False)
    run.update_config(data=config.data)
    records = evaluate(run, EvalConfig())
    assert [record["system"]["name"] for record in records] == ["teacher"]
    return run


def test_models_from_scratch_stand_beside(
    evaluated: Evaluated, scratch: RunDir, tmp_path: Path
) -> None:
    run = RunDir(tmp_path / "vit")
    shutil.copytree(evaluated["image"][0].path, run.path)
    page = write_report(run, [scratch]).read_text(encoding="utf-8")
    (own,) = load_records(scratch.results)
    shown = f"{own['scores']['accuracy']['score']:.2f} %"
    assert f"gmlp, from scratch: {shown}." in page
    folder = publish(run, tmp_path / "published", [scratch]).parent
    records = load_records(folder / "records")
    assert [r["system"]["kind"] for r in records].count("scratch") == 1
    table = (folder / "table.md").read_text(encoding="utf-8")
    assert table == markdown_table(records)
    assert f"| gmlp, from scratch | {shown} |" in table.splitlines()[3]


def test_only_what_can_be_compared_stands_beside(
    evaluated: Evaluated, scratch: RunDir, tmp_path: Path
) -> None:
    run = evaluated["image"][0]
    with pytest.raises(UserError, match=r"has no result of its teacher .* eval --run"):
        write_report(run, [evaluated["mlm"][0]])
    other = RunDir(tmp_path / "other")
    shutil.copytree(scratch.path, other.path)
    (path,) = other.results.glob("*.json")
    record: dict[str, Any] = copy.deepcopy(read_json(path))
    record["digests"]["test_set"] = "0" * 64
    write_json(path, record)
    with pytest.raises(UserError, match=r"test set test of .*other is another one"):
        write_report(run, [other])
