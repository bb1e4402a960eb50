"""What losses are made of: `eval --diagnose` over a small run."""

import dataclasses
import shutil
from collections.abc import Collection

import pytest
import torch
from typer.testing import CliRunner

from attnreplace.data.corpora import DataConfig
from attnreplace.errors import UserError
from attnreplace.evaluate.config import EvalConfig
from attnreplace.evaluate.diagnosis.diagnose import diagnose
from attnreplace.evaluate.diagnosis.record import diagnosis_path
from attnreplace.evaluate.evaluate import evaluate
from attnreplace.hosts import GROUPS, Group, host_for
from attnreplace.methods import get_method
from attnreplace.report.publish import publish
from attnreplace.report.report import write_report
from attnreplace.rundir import RunDir, read_json, write_json
from attnreplace.splice.bundle import BundleConfig, build_students, bundle_name, save_bundle
from attnreplace.students import student_config
from attnreplace.teacher.load import load_teacher
from attnreplace.tune.config import TuneConfig
from attnreplace.tune.tune import tune
from attnreplace_cli.main import app

from .conftest import KillAfter, Killed

CONFIG = EvalConfig(beams=[1], test_sets=["test"], cost=False, baselines=False)
SENTENCES = 24
ALL = "alr-xs+alr-xs-decoder+alr-xs-cross"


def add_bundle(
    run: RunDir,
    group: Group,
    *,
    broken: Collection[int] = (),
    layers: Collection[int] = (0, 1),
    positions: int = 40,
    **shape: str,
) -> str:
    """Students as they are initialised, those of broken layers full of noise."""
    teacher = load_teacher(run.teacher)
    host, method = host_for(teacher.model), get_method("alr")
    sites = [s for s in host.sites(teacher.model) if s.group == group and s.layer in layers]
    config = BundleConfig(
        name=bundle_name("alr", "xs", group, **shape),
        method="alr",
        family="shallow_ff",
        size="xs",
        positions=positions,
        students={
            str(site): student_config(
                method, "xs", host.locate(teacher.model, site), positions, **shape
            )
            for site in sites
        },
        teacher_digest=teacher.digest,
        tokenizer_digest=teacher.tokenizer_digest,
    )
    students = build_students(config, seed=3)
    torch.manual_seed(0)
    with torch.no_grad():
        for site in sites:
            for parameter in students[site].parameters():
                parameter.add_((site.layer in broken) * 5 * torch.randn(parameter.shape))
    save_bundle(run.students / config.name, config, students)
    return config.name


@pytest.fixture(scope="module")
def replaced(extracted, tmp_path_factory) -> RunDir:
    """A run with students for all sites, the decoder's broken; not to be written to."""
    path, corpus = tmp_path_factory.mktemp("diagnose"), extracted.corpus()
    pairs = {"train": corpus.train, "validation": corpus.validation, "test": corpus.tests["test"]}
    for name, texts in pairs.items():
        for language, lines in (("de", texts.source), ("en", texts.target)):
            file = path / f"{name}.{language}"
            file.write_text("\n".join(lines[:SENTENCES]) + "\n", encoding="utf-8")
    run = RunDir(path / "run")
    shutil.copytree(extracted.teacher, run.teacher)
    run.update_config(data=DataConfig(data_dir=str(path)))
    for group in GROUPS:
        add_bundle(run, group, broken=[0] if group == "decoder" else [])
    return run


@pytest.fixture
def own(replaced, tmp_path) -> RunDir:
    """A copy to write to."""
    shutil.copytree(replaced.path, tmp_path / "run")
    return RunDir(tmp_path / "run")


def test_a_broken_layer_is_told_from_the_others(own):
    (record,) = diagnose(own, CONFIG, [ALL])
    sites = {one["site"]: one for one in record["sites"]}
    assert list(sites) == [
        "encoder.self.0", "encoder.self.1", "decoder.self.0", "decoder.cross.0",
    ]  # fmt: skip
    broken, divergence = sites.pop("decoder.self.0"), record["overall"]["divergence"]
    assert broken["alone"] > max(one["alone"] for one in sites.values())
    assert broken["given_back"] < min(one["given_back"] for one in sites.values())
    assert 0 < broken["given_back"] < divergence
    assert 0 < record["overall"]["agreement"] < 1


def test_bins_add_up_to_all(own):
    (record,) = diagnose(own, CONFIG, [ALL])
    overall = record["overall"]
    tokenizer, pairs = load_teacher(own.teacher).tokenizer, own.corpus().tests["test"]
    lengths = [
        (len(tokenizer(source)["input_ids"]), len(tokenizer(text_target=target)["input_ids"]))
        for source, target in zip(pairs.source, pairs.target, strict=True)
    ]
    kept = [pair for pair in lengths if max(pair) <= 40]
    assert 0 < len(kept) < len(lengths)
    assert (record["limit"], record["left_out"]) == (40, len(lengths) - len(kept))
    assert overall["tokens"] == sum(target for _, target in kept)
    for bins in (record["positions"], record["lengths"]):
        assert sum(one["tokens"] for one in bins) == overall["tokens"]
        for name in ("divergence", "agreement", "loss", "teacher_loss"):
            total = sum(one["tokens"] * one[name] for one in bins)
            assert total / overall["tokens"] == pytest.approx(overall[name])
    assert record["positions"][0]["tokens"] == len(kept)
    for one in record["lengths"]:
        inside = [t for s, t in kept if one["first"] <= s <= (one["last"] or s)]
        assert one["tokens"] == sum(inside)


def test_without_its_only_student_a_system_is_the_teacher(own):
    (record,) = diagnose(own, CONFIG, ["alr-xs:1"])
    (site,) = record["sites"]
    assert site["given_back"] == 0.0
    assert site["alone"] == pytest.approx(record["overall"]["divergence"], rel=1e-5)
    (record,) = diagnose(own, CONFIG, ["alr-xs-decoder"])
    assert record["sites"][0]["given_back"] == 0.0


def test_records_are_kept_until_the_students_change(own, notes):
    diagnose(own, CONFIG, ["alr-xs", "alr-xs-cross"])
    path, other = (
        diagnosis_path(own.diagnoses, name, "test") for name in ("alr-xs", "alr-xs-cross")
    )
    before, kept = read_json(path), other.read_bytes()
    diagnose(own, CONFIG, ["alr-xs", "alr-xs-cross"], progress=notes)
    assert read_json(path) == before
    assert [note.partition(":")[0] for note in notes.said] == ["alr-xs", "alr-xs-cross"]
    add_bundle(own, "encoder", broken=[0])
    (after,) = diagnose(own, CONFIG, ["alr-xs"])
    assert read_json(path) == after and after["digests"] != before["digests"]
    assert max(after["sites"], key=lambda one: one["alone"])["site"] == "encoder.self.0"
    assert other.read_bytes() == kept
    # What has become of a bundle is found out by any evaluation.
    shutil.rmtree(own.students / "alr-xs-cross")
    evaluate(own, dataclasses.replace(CONFIG, baselines=False), ["alr-xs-decoder"])
    assert path.is_file() and not other.is_file()


def test_killed_it_goes_on_with_the_next_system(own):
    names = ["alr-xs-decoder", "alr-xs-cross"]
    with pytest.raises(Killed):
        diagnose(own, CONFIG, names, progress=KillAfter(1, names[1]))
    path = diagnosis_path(own.diagnoses, names[0], "test")
    before = path.read_bytes()
    assert len(diagnose(own, CONFIG, names)) == 2
    assert path.read_bytes() == before


def test_bleu_by_length_comes_with_the_translations(own, notes):
    (record,) = diagnose(own, CONFIG, ["alr-xs-cross"])
    assert record["bleu"] == [] and "no saved translations" in record["bleu_missing"]
    evaluate(own, CONFIG, ["alr-xs-cross"])
    (after,) = diagnose(own, CONFIG, ["alr-xs-cross"], progress=notes)
    assert any("kept" in note for note in notes.said)
    assert after | {"bleu": [], "bleu_missing": record["bleu_missing"]} == record
    (beam,) = after["bleu"]
    assert beam["beam"] == 1 and after["bleu_missing"] == ""
    assert sum(one["sentences"] for one in beam["lengths"]) == after["sentences"] == SENTENCES
    bins = [(one["first"], one["last"]) for one in record["lengths"]]
    assert [(one["first"], one["last"]) for one in beam["lengths"]][: len(bins)] == bins
    # Other beam widths do not take the place of those that are there.
    (other,) = diagnose(own, dataclasses.replace(CONFIG, beams=[2]), ["alr-xs-cross"])
    assert other["bleu"] == after["bleu"]
    # Translations of other students do not count.
    add_bundle(own, "cross", broken=[0])
    (renewed,) = diagnose(own, CONFIG, ["alr-xs-cross"])
    assert renewed["bleu"] == []


def test_tuned_models_are_taken_apart_as_far_as_that_means_something(own):
    for train, known in (("students", True), ("all", False)):
        folder = tune(own, TuneConfig(system=ALL, epochs=1, warmup_steps=2, train=train))
        (record,) = diagnose(own, CONFIG, [f"tuned/{folder.name}"])
        assert bool(record["sites"]) == known
        assert ("tuned" in record["sites_missing"]) == (not known)
        assert record["overall"]["divergence"] > 0


def test_a_shorter_reach_leaves_out_more(own):
    add_bundle(own, "decoder", positions=24)
    (record,) = diagnose(own, CONFIG, ["alr-xs-decoder"])
    assert record["limit"] == 24 and record["positions"][-1]["last"] <= 24
    add_bundle(own, "decoder", positions=2)
    with pytest.raises(UserError, match="no pair of the test set test has at most 2 tokens"):
        diagnose(own, CONFIG, ["alr-xs-decoder"])


def test_students_that_read_ahead_are_left_out(own, notes):
    name = add_bundle(own, "cross", cross_form="paper")
    assert diagnose(own, CONFIG, [name], progress=notes) == []
    assert notes.said == [f"{name} is left out: its students are not causal"]


def test_other_tasks_are_refused(own):
    (own.teacher / "training.json").unlink()  # It says what the teacher was trained on.
    own.update_config(data=DataConfig(task="mlm", train_size=9, validation_size=9))
    with pytest.raises(UserError, match="the task mlm has none"):
        diagnose(own, CONFIG)


def test_from_the_command_line_to_the_page(own, tmp_path):
    command = ["eval", "--run", str(own.path), "--test-set", "test", "--beam", "1"]
    both = CliRunner().invoke(app, [*command, "--bleu", "--diagnose"])
    assert "one at a time: --bleu or --diagnose" in str(both.exception)
    evaluate(own, CONFIG, [ALL])
    result = CliRunner().invoke(app, [*command, "--diagnose", "--bundle", ALL])
    assert result.exit_code == 0, result.output
    assert (
        "Worst: decoder 0 (" in result.output and "less with its attention back)" in result.output
    )
    for name in own.bundles():
        write_json(own.students / name / "history.json", [])
    page = write_report(own).read_text(encoding="utf-8")
    assert 'id="diagnosis"' in page and "What the loss is made of" in page
    assert (own.path / "diagnosis.png").is_file()
    folder = publish(own, tmp_path / "published").parent
    assert [path.name for path in (folder / "diagnosis").iterdir()] == [
        diagnosis_path(own.diagnoses, ALL, "test").name
    ]
    text = (folder / "errors.md").read_text(encoding="utf-8")
    assert "![Divergence by layer, by position and by length](diagnosis.png)" in text
    assert (folder / "diagnosis.png").is_file() and "### BLEU by tokens of the source" in text
