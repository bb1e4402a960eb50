"""The teacher itself, tuned as its students are."""

import dataclasses
import shutil

import pytest
import torch

from attnreplace.errors import UserError
from attnreplace.evaluate.config import EvalConfig
from attnreplace.evaluate.evaluate import evaluate
from attnreplace.report.parsing import parse_records
from attnreplace.report.report import write_report
from attnreplace.report.tables import markdown_table
from attnreplace.rundir import RunDir
from attnreplace.teacher.load import load_model
from attnreplace.tune.config import TuneConfig
from attnreplace.tune.folder import tuned_models, tuned_parts, tuned_record
from attnreplace.tune.tune import tune

from .conftest import KillAfter, Killed
from .test_tune import needs_peft, same

CONFIG = TuneConfig(system="teacher", train="all", epochs=2, warmup_steps=2, learning_rate=1e-3)
EVAL = EvalConfig(beams=[1], test_sets=["test"])
NAME = "teacher-kl-ce-all-own"
LABEL = "Teacher, tuned kl+ce, all weights, teacher's translations"


def test_all_its_weights_are_tuned_on_its_own_translations(own):
    config = dataclasses.replace(CONFIG, targets="teacher")
    assert tune(own, config).name == NAME
    record = tuned_record(own, NAME)
    assert (record["system"], record["bundles"], tuned_parts(own, NAME)) == ("teacher", {}, [])
    first, last = record["history"]
    assert last["train_loss"] < first["train_loss"]
    before, after = (load_model(f).state_dict() for f in (own.teacher, own.tuned / NAME))
    assert before.keys() == after.keys()
    assert any(not torch.equal(before[name], after[name]) for name in before)


def test_it_is_a_system_that_replaces_nothing(own):
    config = dataclasses.replace(CONFIG, targets="teacher", epochs=1)
    tune(own, config)
    records = {r["system"]["name"]: r for r in evaluate(own, EVAL, ["alr-xs", f"tuned/{NAME}"])}
    # Attention is removed where a system replaces it, and nowhere else.
    assert list(records)[:2] == ["teacher", "removed"] and len(records) == 5
    ours = records[f"tuned/{NAME}"]
    system, parameters = ours["system"], ours["cost"]["parameters"]
    assert (system["kind"], system["label"], system["sites"]) == ("tuned", LABEL, [])
    assert (parameters["replacement"], parameters["replaced"]) == (0, 0)
    assert "significance" in ours
    table = markdown_table(list(records.values())).splitlines()
    assert LABEL in table[3], "just below the teacher"
    (result,) = (r for r in parse_records(records.values()) if r.kind == "tuned")
    assert (result.nature, result.scope.word) == ("", "")
    assert LABEL.replace("'", "&#x27;") in (page := write_report(own).read_text()) or LABEL in page
    tune(own, dataclasses.replace(config, learning_rate=2e-3), overwrite=True)
    again = evaluate(own, EVAL, [f"tuned/{NAME}"])[-1]
    assert again["digests"]["bundle"] != ours["digests"]["bundle"]


@pytest.mark.parametrize(
    "changes",
    [
        {"losses": ["ce", "hidden"], "train": "norms"},
        pytest.param({"train": "lora", "lora_rank": 2}, marks=needs_peft),
    ],
)
def test_killed_and_resumed_equals_uninterrupted_and_goes_on(own, tmp_path, changes):
    config = dataclasses.replace(CONFIG, **changes)
    whole = tune(own, config)
    shutil.move(whole, tmp_path / "whole")
    config = dataclasses.replace(config, checkpoint_minutes=0)
    with pytest.raises(Killed):
        tune(own, config, progress=KillAfter(4, "teacher-"))
    folder = tune(own, config)
    assert same(folder, tmp_path / "whole")
    config = dataclasses.replace(config, system=f"tuned/{folder.name}", losses=["ce"], epochs=1)
    further = tuned_record(own, tune(own, config).name)
    assert further["system"] == "teacher" and ", then ce" in further["summary"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"train": "students"}, "tune.train = students"),
        ({"losses": ["kl", "ce", "forced"]}, "tune.losses = forced"),
        ({"losses": ["kl", "hidden"]}, "without ce"),
        ({"order": ["encoder"]}, "tune.order"),
        ({"start": "scratch"}, "tune.start is scratch"),
    ],
)
def test_what_is_of_students_is_refused(own, changes, words):
    with pytest.raises(UserError, match=words) as error:
        tune(own, dataclasses.replace(CONFIG, **changes))
    assert "\n" not in str(error.value)
    assert tuned_models(own) == []


@pytest.mark.parametrize("kind", ["image", "mlm"])
def test_other_tasks(encoder_runs, tmp_path, kind):
    run = RunDir(tmp_path / "run")
    shutil.copytree(encoder_runs[kind].path, run.path)
    tune(run, dataclasses.replace(CONFIG, losses=["ce"], epochs=1))
    records = evaluate(run, EvalConfig(cost=False, baselines=False))
    assert [r["system"]["label"] for r in records] == ["Teacher", "Teacher, tuned ce, all weights"]
