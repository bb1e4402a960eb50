"""The stage `tune` on a small run with students at every site."""

import dataclasses
import shutil
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from attnreplace.distill.config import DistillConfig
from attnreplace.distill.distill import distill
from attnreplace.distill.team import Team
from attnreplace.errors import UserError
from attnreplace.evaluate.config import EvalConfig
from attnreplace.evaluate.evaluate import evaluate
from attnreplace.evaluate.specs import canonical, choose
from attnreplace.evaluate.systems import candidates
from attnreplace.evaluate.translate import Translations
from attnreplace.hosts import Site
from attnreplace.pipeline import run_all
from attnreplace.progress import NullProgress
from attnreplace.report.parsing import parse_records
from attnreplace.report.selection import join_seeds
from attnreplace.report.tunings import load_tunings
from attnreplace.rundir import RunDir, write_json
from attnreplace.splice.bundle import load_bundle_config
from attnreplace.splice.pretrained import load_spliced_pretrained
from attnreplace.splice.splice import load_spliced
from attnreplace.teacher.load import Teacher, load_teacher
from attnreplace.tune import targets
from attnreplace.tune.config import TuneConfig
from attnreplace.tune.folder import SCHEMA, tuned_models, tuned_record
from attnreplace.tune.tune import tune
from attnreplace.tune.watch import StudentOutputs, replacements

from .conftest import STUDENTS, KillAfter, Killed

needs_peft = pytest.mark.skipif(find_spec("peft") is None, reason="peft is not installed")

SYSTEM = "alr-xs+alr-xs-decoder+alr-xs-cross"
CONFIG = TuneConfig(system=SYSTEM, epochs=2, warmup_steps=2, learning_rate=1e-2)


def state(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


def same(one: Path, other: Path) -> bool:
    a, b = state(one), state(other)
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def before(run: RunDir) -> dict[str, torch.Tensor]:
    """The spliced model as it was distilled."""
    paths = [run.students / name for name in SYSTEM.split("+")]
    return {n: v.clone() for n, v in load_spliced(run.teacher, paths).state_dict().items()}


def test_students_alone_change_and_the_model_learns(own):
    folder = tune(own, CONFIG)
    old, new = before(own), load_spliced_pretrained(folder).state_dict()
    for name in old:
        if ".student." in name:
            continue
        assert torch.equal(old[name], new[name]), name
    assert any(not torch.equal(old[n], new[n]) for n in old if ".student." in n)
    history = tuned_record(own, folder.name)["history"]
    assert history[1]["validation_loss"] < history[0]["validation_loss"]
    assert tuned_models(own) == [f"{SYSTEM}-kl-ce"]


def test_norms_too_and_all(own):
    for train in ("norms", "all"):
        folder = tune(own, dataclasses.replace(CONFIG, train=train, epochs=1))
        old, new = before(own), load_spliced_pretrained(folder).state_dict()
        changed = {n for n in old if not torch.equal(old[n], new[n]) and ".student." not in n}
        assert any("layer_norm" in name for name in changed)
        assert any("layer_norm" not in name for name in changed) == (train == "all")


@needs_peft
def test_adapters_of_low_rank_are_merged_into_what_is_not_a_student(own):
    config = dataclasses.replace(CONFIG, train="lora", lora_rank=2, epochs=1)
    folder = tune(own, config)
    assert folder.name == f"{SYSTEM}-kl-ce-lora2"
    old, new = before(own), load_spliced_pretrained(folder).state_dict()
    assert old.keys() == new.keys()
    changed = {name for name in old if not torch.equal(old[name], new[name])}
    assert any(".student." in name for name in changed)
    matrices = {name for name in changed if ".student." not in name}
    assert {name.split(".")[-2] for name in matrices} == {"out_proj", "fc1", "fc2"}
    for name in matrices:
        ranks = torch.linalg.svdvals((new[name] - old[name]).double())
        assert name.endswith(".weight") and ranks[2] < 1e-4 * ranks[0], name


@needs_peft
def test_adapters_killed_and_resumed_equal_uninterrupted(own, tmp_path):
    config = dataclasses.replace(CONFIG, train="lora", losses=["kl", "hidden", "forced"])
    whole = tune(own, config)
    shutil.move(whole, tmp_path / "whole")
    config = dataclasses.replace(config, checkpoint_minutes=0)
    with pytest.raises(Killed):
        tune(own, config, progress=KillAfter(4, SYSTEM))
    assert same(tune(own, config), tmp_path / "whole")


def test_without_peft_nothing_begins(own, monkeypatch):
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(UserError, match="pip install peft"):
        tune(own, dataclasses.replace(CONFIG, train="lora"))
    assert not own.tuned.exists()


@pytest.mark.parametrize("losses", [["kl"], ["hidden", "ce"], ["forced"], ["forced", "kl"]])
def test_every_loss_goes_down(own, losses):
    folder = tune(own, dataclasses.replace(CONFIG, losses=losses, epochs=3))
    history = tuned_record(own, folder.name)["history"]
    assert history[-1]["train_loss"] < history[0]["train_loss"]


@pytest.mark.parametrize("steps", [2, 6])
def test_killed_and_resumed_equals_uninterrupted(own, tmp_path, steps):
    config = dataclasses.replace(CONFIG, order=["encoder", "decoder", "cross"], epochs=3)
    whole = tune(own, config)
    shutil.move(whole, tmp_path / "whole")
    config = dataclasses.replace(config, checkpoint_minutes=0)
    with pytest.raises(Killed):
        tune(own, config, progress=KillAfter(steps, SYSTEM))
    assert same(tune(own, config), tmp_path / "whole")


def test_groups_that_have_not_set_out_stay(own):
    config = dataclasses.replace(CONFIG, order=["decoder", "encoder", "cross"], epochs=3)
    # Too little to change any translation: the first epoch is the best.
    folder = tune(own, dataclasses.replace(config, losses=["ce"], learning_rate=1e-9))
    assert tuned_record(own, folder.name)["best"]["epoch"] == 1
    old, new = before(own), load_spliced_pretrained(folder).state_dict()
    students = [name for name in old if ".student." in name]
    changed = {name for name in students if not torch.equal(old[name], new[name])}
    assert changed and all("decoder" in name and "self_attn" in name for name in changed)


def test_patience_waits_until_all_groups_have_set_out(own):
    """Nothing gets better: one epoch of the last group is compared with, the next is enough."""
    config = dataclasses.replace(CONFIG, losses=["ce"], learning_rate=1e-9, epochs=9, patience=1)
    folder = tune(own, dataclasses.replace(config, order=["encoder", "decoder", "cross"]))
    assert [row["epoch"] for row in tuned_record(own, folder.name)["history"]] == [*range(1, 9)]
    folder = tune(own, config)
    assert len(tuned_record(own, folder.name)["history"]) == 2


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"epochs": 0}, "tune.epochs"),
        ({"order": ["encoder", "decoder", "cross"]}, "one for each group"),
        ({"order": ["decoder"]}, "tune.order is decoder"),
    ],
)
def test_what_would_train_nothing_is_refused(own, changes, words):
    with pytest.raises(UserError, match=words):
        tune(own, dataclasses.replace(CONFIG, **changes))


def test_students_apart_learn_what_stands_alone(own):
    """The first student reads what the teacher gives, and gets the gradient of its own error."""
    paths = [own.students / name for name in SYSTEM.split("+")]
    model = load_spliced(own.teacher, paths)
    watch = StudentOutputs(model, apart=True)
    first = replacements(model)[Site.parse("encoder.self.0")].student.requires_grad_(True)
    ids = torch.tensor([[5, 6, 7, 2]])
    model(input_ids=ids, decoder_input_ids=ids)
    last = [site for site in watch.tensors if site.stack == "decoder"][-1]
    assert watch.tensors[Site.parse("encoder.self.0")].requires_grad
    assert not watch.tensors[last].requires_grad
    watch.tensors[Site.parse("encoder.self.0")].sum().backward()
    assert all(weight.grad is not None for weight in first.parameters())


def test_from_scratch_nothing_is_kept(own):
    config = dataclasses.replace(
        CONFIG, start="scratch", losses=["ce"], train="all", epochs=1, learning_rate=1e-9
    )
    new = load_spliced_pretrained(tune(own, config)).state_dict()
    old = before(own)
    matrices = [n for n in old if old[n].dim() == 2 and "norm" not in n and "embed_pos" not in n]
    assert all(not torch.allclose(old[n], new[n], atol=1e-3) for n in matrices)


def test_the_teachers_own_translations_are_made_once(own):
    config = dataclasses.replace(CONFIG, targets="teacher", epochs=1)
    tune(own, config)
    kept = own.path / "translations.beam1.jsonl"
    text = kept.read_text()
    assert len(text.splitlines()) == 1 + 120
    kept.write_text(text[: len(text) // 2])
    tune(own, dataclasses.replace(config, name="again"))
    assert kept.read_text() == text


def test_processes_share_the_translating_and_wait_for_files(own, tmp_path, monkeypatch):
    """Threads stand for processes: between them no collective operation would come back."""
    monkeypatch.setattr(targets, "CHUNK", 32)
    shutil.copytree(own.path, tmp_path / "alone")
    translated = targets.translate
    counts: dict[str, int] = {}

    def counted(model, tokenizer, sentences, **how):
        name = threading.current_thread().name
        counts[name] = counts.get(name, 0) + len(sentences)
        return translated(model, tokenizer, sentences, **how)

    monkeypatch.setattr(targets, "translate", counted)

    def made(run: RunDir, teacher: Teacher, team: Team) -> list[str]:
        progress = NullProgress()
        corpus = targets.with_own_translations(run, teacher, run.corpus(), 1, team, progress)
        return corpus.train.target

    teachers = [load_teacher(own.teacher) for _ in range(3)]
    teams = [Team(index, 3) for index in range(3)]
    with ThreadPoolExecutor(3, "process") as pool:
        shared = list(pool.map(made, [own] * 3, teachers, teams))
    assert sorted(counts.values()) == [32, 32, 56]
    assert shared == [made(RunDir(tmp_path / "alone"), teachers[0], Team())] * 3
    name = "translations.beam1.jsonl"
    assert (own.path / name).read_bytes() == (tmp_path / "alone" / name).read_bytes()
    assert not list(own.path.glob("*.parts")) + list(own.path.glob("*.lock"))


def test_the_teacher_translates_on_the_device_that_trains(own, monkeypatch):
    """No GPU is needed: the places that the model is sent to are written down instead."""
    teacher, gpu, sent, where = load_teacher(own.teacher), torch.device("cuda", 0), [], []

    def translated(model, tokenizer, sentences, **how):
        where.append(sent[-1])
        return Translations(list(sentences), 0)

    monkeypatch.setattr(teacher.model, "to", sent.append)
    monkeypatch.setattr(targets, "translate", translated)
    team = Team(device=gpu)
    targets.with_own_translations(own, teacher, own.corpus(), 1, team, NullProgress())
    assert where == [gpu]
    assert sent[-1] == torch.device("cpu")


def test_finished_is_kept_and_other_settings_are_refused(own):
    folder = tune(own, dataclasses.replace(CONFIG, name="one", epochs=1))
    stamp = (folder / "model.safetensors").stat().st_mtime_ns
    tune(own, dataclasses.replace(CONFIG, name="one", epochs=1, checkpoint_minutes=3))
    assert (folder / "model.safetensors").stat().st_mtime_ns == stamp
    other = dataclasses.replace(CONFIG, name="one", epochs=1, learning_rate=1e-3)
    with pytest.raises(UserError, match="--overwrite"):
        tune(own, other)
    tune(own, other, overwrite=True)
    assert (folder / "model.safetensors").stat().st_mtime_ns != stamp


def test_an_unknown_bundle_is_named(own):
    with pytest.raises(UserError, match="unknown bundle"):
        tune(own, TuneConfig(system="alr-xl"))
    with pytest.raises(UserError, match="empty"):
        tune(own, TuneConfig())


@pytest.mark.parametrize("kind", ["image", "mlm", "classification"])
def test_encoders_are_tuned_and_evaluated(encoder_runs, tmp_path, kind):
    run = RunDir(tmp_path / "run")
    shutil.copytree(encoder_runs[kind].path, run.path)
    distill(run, DistillConfig(methods=["alr"], sizes=["xs"], epochs=1))
    tune(run, TuneConfig(system="alr-xs", losses=["kl", "hidden", "forced"], epochs=2))
    records = {r["system"]["name"]: r for r in evaluate(run, EvalConfig(cost=False))}
    tuned = records["tuned/alr-xs-kl-hidden-forced"]
    assert tuned["system"]["label"] == "ALR-XS, tuned kl+hidden+forced"
    assert tuned["digests"]["bundle"] != records["alr-xs"]["digests"]["bundle"]


def test_every_method_is_tuned_in_bfloat16(encoder_runs, tmp_path):
    run = RunDir(tmp_path / "run")
    shutil.copytree(encoder_runs["mlm"].path, run.path)
    methods = ["alr", "alrr", "elr"]
    distill(run, DistillConfig(methods=methods, sizes=["xs"], epochs=1))
    for method in methods:
        config = TuneConfig(system=f"{method}-xs", losses=["kl", "hidden", "forced"], epochs=1)
        folder = tune(run, dataclasses.replace(config, precision="bf16"))
        assert 0 < tuned_record(run, folder.name)["best"]["train_loss"] < 100


def test_tuned_models_are_evaluated_until_they_are_others(own):
    tune(own, dataclasses.replace(CONFIG, name="one", epochs=1))
    config = EvalConfig(beams=[1], test_sets=["test"], cost=False, baselines=False)
    names = [r["system"]["name"] for r in evaluate(own, config)]
    assert names[-1] == "tuned/one" and SYSTEM in names
    path = own.results / "tuned.one.test.beam1.json"
    before_it = path.stat().st_mtime_ns
    evaluate(own, config)
    assert path.stat().st_mtime_ns == before_it
    tune(own, dataclasses.replace(CONFIG, name="one", epochs=1, seed=1), overwrite=True)
    evaluate(own, config)
    assert path.stat().st_mtime_ns != before_it
    (own.tuned / "one" / "training.json").write_text("{}")
    with pytest.raises(UserError, match=r"training\.json is damaged"):
        evaluate(own, config)
    with pytest.raises(UserError, match="no tuned model"):
        evaluate(own, dataclasses.replace(config, baselines=True), ["tuned/two"])


def test_seeds_of_tuned_systems_are_joined(own):
    distill(own, dataclasses.replace(STUDENTS, sites=["encoder"], seeds=2))
    config = dataclasses.replace(CONFIG, system="alr-xs", epochs=1)
    for changes in ({}, {"seed": 2}, {"system": "alr-xs-seed1"}):
        tune(own, dataclasses.replace(config, **changes))
    scratch = {"start": "scratch", "losses": ["ce"], "train": "all"}
    tune(own, dataclasses.replace(config, system="alr-xs-seed1", **scratch))
    wanted = EvalConfig(beams=[1], test_sets=["test"], cost=False, baselines=False)
    tuned = [f"tuned/{name}" for name in tuned_models(own)]
    records = [r for r in evaluate(own, wanted, tuned) if r["system"]["kind"] == "student"]
    assert {r["system"]["name"].removeprefix("tuned/"): r["seed"] for r in records} == {
        "alr-xs-kl-ce": 0,
        "alr-xs-kl-ce-seed2": 2,
        "alr-xs-seed1-kl-ce": 1,
        # Of what was distilled nothing is left.
        "alr-xs-seed1-ce-all-scratch": 0,
    }
    joined = join_seeds(parse_records(records))
    assert sorted(result.label for result in joined) == [
        "ALR-XS, ce, all weights, from scratch",
        "ALR-XS, tuned kl+ce",
    ]


@pytest.mark.parametrize(
    "system", ["alr-xs", SYSTEM, "alr-xs:0", "alr-xs:1+alr-xs-decoder+alr-xs-cross", "alr-xs:0,1"]
)
def test_the_report_calls_tuned_models_as_tables_do(own, system):
    """Its labels are made without the model, whose layers theirs are made with."""
    there = {name: load_bundle_config(own.students / name) for name in own.bundles()}
    parts, teacher = choose(system, there), load_teacher(own.teacher)
    config = dataclasses.replace(CONFIG, system=system, name="one", train="all")
    record = {
        "schema": SCHEMA,
        "inputs_digest": "12" * 32,
        "system": canonical(parts),
        "summary": config.summary,
        "teacher_digest": teacher.digest,
        "config": dataclasses.asdict(config),
        "history": [],
    }
    write_json(own.tuned / "one" / "training.json", record)
    bundles = {"attnreplace": [part.config.to_json() for part in parts]}
    write_json(own.tuned / "one" / "config.json", bundles)
    *_, candidate = candidates(teacher, own, ["tuned/one"], baselines=False)
    (tuning,) = load_tunings(own)
    assert tuning.label == candidate.system["label"]


def test_a_run_tunes_the_system_that_it_names(own):
    config = dataclasses.replace(
        own.config(),
        distill=STUDENTS,
        tune=dataclasses.replace(CONFIG, system="alr-xs", epochs=1),
        evaluate=EvalConfig(beams=[1], test_sets=["test"], cost=False, baselines=False),
    )
    page = run_all(own, config).read_text(encoding="utf-8")
    assert "ALR-XS, tuned kl+ce" in page
    assert own.config() == config
    # What single stages are told holds for them alone: the run goes on as before.
    distill(own, dataclasses.replace(STUDENTS, sizes=["s"]))
    tune(own, dataclasses.replace(CONFIG, system="alr-s", epochs=1))
    evaluate(own, dataclasses.replace(config.evaluate, beams=[2]), ["alr-s"])
    assert own.config() == config
