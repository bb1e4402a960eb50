"""The stage `search` on a small run with students of three costs at every site."""

import dataclasses
import json
import shutil
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from attnreplace.activations.extract import ExtractConfig, extract
from attnreplace.config import RunConfig
from attnreplace.data.batching import encode, pad
from attnreplace.distill.config import DistillConfig
from attnreplace.distill.distill import distill
from attnreplace.errors import UserError
from attnreplace.evaluate.config import EvalConfig
from attnreplace.evaluate.instruments import count_parameters
from attnreplace.pipeline import run_all
from attnreplace.report.records import load_records
from attnreplace.rundir import RunDir, read_json
from attnreplace.search.config import SearchConfig
from attnreplace.search.search import search
from attnreplace.splice.pretrained import load_spliced_pretrained
from attnreplace.splice.splice import BundlePart, load_spliced
from attnreplace.teacher.load import load_teacher
from attnreplace_cli.main import app

from .conftest import KillAfter, Killed

CONFIG = SearchConfig(max_drop=100.0, sentences=20, verify=3)
STUDENTS = "students, alone"


@pytest.fixture(scope="module")
def distilled(extracted, tmp_path_factory) -> RunDir:
    """A run with bundles to choose from; not to be written to."""
    run = RunDir(tmp_path_factory.mktemp("search") / "run")
    shutil.copytree(extracted.path, run.path)
    extract(run, ExtractConfig(sites=["all"]), overwrite=True)
    small = DistillConfig(methods=["alr"], sizes=["xs"], epochs=1)
    distill(run, dataclasses.replace(small, families=["linear_attention"], sizes=["m"]))
    distill(run, dataclasses.replace(small, families=["pairwise"], sizes=["m"], sites=["cross"]))
    distill(run, small)
    return run


@pytest.fixture
def own(distilled, tmp_path) -> RunDir:
    """A copy to write to."""
    shutil.copytree(distilled.path, tmp_path / "run")
    return RunDir(tmp_path / "run")


@pytest.fixture(scope="module")
def searched(distilled, tmp_path_factory) -> RunDir:
    """One in which the search was made; not to be written to."""
    run = RunDir(tmp_path_factory.mktemp("searched") / "run")
    shutil.copytree(distilled.path, run.path)
    search(run, CONFIG)
    return run


@pytest.fixture
def known(searched, tmp_path) -> RunDir:
    """A copy of that to write to."""
    shutil.copytree(searched.path, tmp_path / "known")
    return RunDir(tmp_path / "known")


def scores_of(run: RunDir) -> dict[tuple[str, str], dict]:
    found = read_json(run.search / "scores.20.json")["students"]
    return {(entry["bundle"], entry["site"]): entry for entry in found}


def test_a_student_is_scored_by_what_it_does_alone(searched):
    """The divergence of the model spliced with one layer, over real tokens of the references."""
    teacher, pairs = load_teacher(searched.teacher), searched.corpus().validation.head(20)
    tokenizer = teacher.tokenizer
    both = zip(
        encode(tokenizer, pairs.source), encode(tokenizer, pairs.target, target=True), strict=True
    )
    # Students have as many positions as the teacher was trained on.
    kept = [pair for pair in both if max(map(len, pair)) <= 40]
    assert 1 < len(kept) < 20
    source, mask = pad([pair[0] for pair in kept], tokenizer.pad_token_id)
    target, real = pad([pair[1] for pair in kept], tokenizer.pad_token_id)
    start = torch.full((len(kept), 1), teacher.model.config.decoder_start_token_id)
    inputs = {"input_ids": source, "attention_mask": mask}
    inputs["decoder_input_ids"] = torch.cat([start, target[:, :-1]], 1)
    scores = scores_of(searched)
    for bundle, site in (("alr-xs", "encoder.self.1"), ("alr-m-pairwise-cross", "decoder.cross.0")):
        part = BundlePart(searched.students / bundle, site[-1])
        model = load_spliced(teacher.model, part)
        with torch.no_grad():
            theirs, ours = (m(**inputs).logits.log_softmax(-1) for m in (teacher.model, model))
        each = (theirs.exp() * (theirs - ours)).sum(-1)[real.bool()]
        assert scores[bundle, site]["divergence"] == pytest.approx(float(each.mean()), rel=1e-4)
        saved = count_parameters(teacher.model) - count_parameters(model)
        assert scores[bundle, site]["costs"] == {"params": -saved}


def test_what_is_chosen_can_be_used_everywhere(known):
    outcome = read_json(known.search / "params.json")
    chosen = outcome["chosen"]
    # With everything allowed it is the cheapest of all, and one look is enough.
    # The frontier adds up the same divergences in another order.
    assert (chosen["cost"], chosen["divergence"]) == pytest.approx(outcome["frontier"][0])
    assert len(outcome["verified"]) == 1 and chosen["cost"] < 0
    model = load_spliced_pretrained(known.search / "params")
    assert count_parameters(model) == outcome["chosen_cost"]
    assert outcome["chosen_cost"] - outcome["teacher"]["cost"] == chosen["cost"]
    # Validation cut sentences, which is no setting of the tokenizer.
    there = [
        read_json(folder / "tokenizer.json") for folder in (known.teacher, known.search / "params")
    ]
    assert there[0] == there[1]
    config = RunConfig.load(known.search / "params.toml")
    assert config.evaluate.systems == [chosen["system"]]
    # Every bundle in it is among those that the configuration makes, and is not made again.
    bundles = {part.split(":")[0] for part in chosen["system"].split("+")}
    made = {name: (known.students / name / "config.json").read_bytes() for name in bundles}
    assert bundles <= set(distill(known, config.distill))
    assert made == {name: (known.students / name / "config.json").read_bytes() for name in bundles}
    short = EvalConfig([1], ["test"], cost=False, baselines=False, systems=config.evaluate.systems)
    page = run_all(known, dataclasses.replace(config, evaluate=short)).read_text()
    assert "Chosen by budget" in page and chosen["system"] in page
    assert {r["system"]["name"] for r in load_records(known.results)} == {
        "teacher",
        chosen["system"],
    }
    assert (known.path / "search_params.png").is_file()


def test_nothing_allowed_nothing_chosen(known):
    assert (known.search / "params").is_dir()
    # A score of the teacher, the first that was asked for, which no system can reach.
    scores = read_json(known.search / "scores.20.json")
    best = max(scores["systems"].values()) + 2
    scores["systems"][next(iter(scores["systems"]))] = best
    (known.search / "scores.20.json").write_text(json.dumps(scores))
    outcome = search(known, dataclasses.replace(CONFIG, max_drop=1.0, verify=3))
    assert outcome["teacher"]["score"] == best and outcome["chosen"] is None
    looks = outcome["verified"]
    assert [one["drop"] for one in looks] == [best - one["score"] for one in looks]
    assert not any(one["within"] for one in looks)
    # Each look is nearer to the teacher.
    costs = [one["cost"] for one in looks]
    assert len(looks) == 3 and costs == sorted(costs)
    assert not (known.search / "params").exists() and not (known.search / "params.toml").exists()


def test_killed_and_resumed_equals_uninterrupted(own, tmp_path):
    own.update_config(training=dataclasses.replace(own.config().training, batch_tokens=60))
    shutil.copytree(own.path, tmp_path / "whole")
    whole = RunDir(tmp_path / "whole")
    expected = search(whole, CONFIG)
    count = len(scores_of(whole))
    with pytest.raises(Killed):
        search(own, CONFIG, progress=KillAfter(9, f"{count} {STUDENTS}"))
    assert search(own, CONFIG)["verified"] == expected["verified"]
    assert scores_of(own) == scores_of(whole)


def test_another_search_begins_with_what_is_known(known):
    before = scores_of(known)
    # Neither students nor systems that were scored are scored again.
    for what in (f"{len(before)} {STUDENTS}", "teacher"):
        search(known, dataclasses.replace(CONFIG, max_drop=50.0), progress=KillAfter(1, what))
    with pytest.raises(Killed):
        search(known, dataclasses.replace(CONFIG, sentences=9), progress=KillAfter(1, "teacher"))
    # What is known of another number of sentences stays.
    assert scores_of(known) == before


def test_latency_is_measured_of_every_student(known):
    fewer = dataclasses.replace(CONFIG, minimise="latency", bundles=["alr-xs", "alr-xs-decoder"])
    outcome = search(known, fewer)
    assert outcome["new_tokens"] == 20 and outcome["teacher"]["cost"] > 0
    measured = {bundle for (bundle, _), e in scores_of(known).items() if "latency" in e["costs"]}
    assert measured == {"alr-xs", "alr-xs-decoder"}


def test_state_is_that_of_the_decoder(known):
    outcome = search(known, dataclasses.replace(CONFIG, minimise="state", kinds=["static"]))
    entries = [e for e in scores_of(known).values() if "state" in e["costs"]]
    assert {e["bundle"] for e in entries} == {"alr-xs", "alr-xs-decoder", "alr-xs-cross"}
    for entry in entries:
        assert (entry["costs"]["state"] == 0) == (entry["bundle"] == "alr-xs")
    chosen = outcome["chosen"]
    assert outcome["chosen_cost"] - outcome["teacher"]["cost"] == chosen["cost"] < 0


def test_mistakes_are_one_line(own, encoder_runs, tmp_path):
    for fields, words in (
        ({"bundles": ["alr-xl"]}, "unknown bundle 'alr-xl'; valid: alr-m-linear"),
        ({"kinds": ["gated"]}, "no bundle that can be compared is of these"),
    ):
        with pytest.raises(UserError, match=words):
            search(own, dataclasses.replace(CONFIG, **fields))
    shutil.rmtree(own.students)
    with pytest.raises(UserError, match="no students to choose from"):
        search(own, CONFIG)
    for kind, words in (("texts", "has no head"), ("mlm", "state is what a decoder keeps")):
        run = RunDir(tmp_path / kind)
        shutil.copytree(encoder_runs[kind].path, run.path)
        with pytest.raises(UserError, match=words):
            search(run, dataclasses.replace(CONFIG, minimise="state"))


@pytest.mark.parametrize("kind", ["image", "mlm", "classification"])
def test_encoders_are_searched(encoder_runs, tmp_path, kind):
    run = RunDir(tmp_path / "run")
    shutil.copytree(encoder_runs[kind].path, run.path)
    distill(run, DistillConfig(methods=["alr"], sizes=["xs"], epochs=1))
    config = dataclasses.replace(CONFIG, max_drop=1e6, minimise="latency")
    outcome = search(run, config)
    assert outcome["metric"] == ("perplexity" if kind == "mlm" else "accuracy")
    assert len(scores_of(run)) == 2 and outcome["teacher"]["cost"] > 0
    assert all(entry["divergence"] > 0 for entry in scores_of(run).values())


def test_the_command_says_what_it_chose(known, monkeypatch):
    monkeypatch.chdir(known.path.parent)
    arguments = ["search", "--max-bleu-drop", "100", "--minimise", "params", "--sentences", "20"]
    result = CliRunner().invoke(app, [*arguments, "--run", "known"], env={"COLUMNS": "120"})
    assert result.exit_code == 0, result.output
    chosen = read_json(Path("known/search/params.json"))["chosen"]
    assert "chosen" in result.output and f"chosen: {chosen['system']}" in result.output
    assert f"next: attnreplace eval --bundle {chosen['system']} --run known" in result.output
