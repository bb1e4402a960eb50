"""Tuned models that are tuned further."""

import dataclasses
import shutil

import pytest
import torch

from attnreplace.errors import UserError
from attnreplace.evaluate.config import EvalConfig
from attnreplace.evaluate.evaluate import evaluate
from attnreplace.rundir import RunDir
from attnreplace.splice.pretrained import load_spliced_pretrained
from attnreplace.tune.config import TuneConfig
from attnreplace.tune.folder import tuned_models, tuned_record
from attnreplace.tune.tune import tune

from .conftest import KillAfter, Killed
from .test_tune import CONFIG, needs_peft, same

FIRST = dataclasses.replace(CONFIG, system="alr-xs+alr-xs-decoder", losses=["forced"], epochs=1)
NAME = "alr-xs+alr-xs-decoder-forced"
NEXT = TuneConfig(system=f"tuned/{NAME}", epochs=1, warmup_steps=2, learning_rate=1e-2)
EVAL = EvalConfig(beams=[1], test_sets=["test"], cost=False, baselines=False)


@pytest.fixture
def begun(own) -> RunDir:
    """A run with a tuned model."""
    assert tune(own, FIRST).name == NAME
    return own


def weights(run: RunDir, name: str) -> dict[str, torch.Tensor]:
    return load_spliced_pretrained(run.tuned / name).state_dict()


def test_it_starts_from_the_tuned_weights(begun):
    start = weights(begun, NAME)
    still = tune(begun, dataclasses.replace(NEXT, learning_rate=1e-9))
    assert still.name == f"{NAME}-then-kl-ce"
    kept = weights(begun, still.name)
    assert kept.keys() == start.keys()
    for name in start:
        torch.testing.assert_close(kept[name], start[name], rtol=0, atol=1e-6)
    moved = weights(begun, tune(begun, NEXT, overwrite=True).name)
    changed = {name for name in start if not torch.equal(moved[name], start[name])}
    assert changed and all(".student." in name for name in changed)
    assert all(torch.equal(weights(begun, NAME)[name], start[name]) for name in start)


def test_records_name_both_stages_and_the_start(begun):
    folder = tune(begun, NEXT)
    third = tune(begun, dataclasses.replace(NEXT, system=f"tuned/{folder.name}", losses=["ce"]))
    assert third.name == f"{NAME}-then-kl-ce-then-ce"
    first, record = tuned_record(begun, NAME), tuned_record(begun, folder.name)
    assert record["summary"] == "tuned forced, then kl+ce"
    assert (record["system"], record["bundles"]) == (first["system"], first["bundles"])
    start = {"name": f"tuned/{NAME}", "digest": first["inputs_digest"], "seed": 0}
    assert record["start"] == start
    labels = [r["system"]["label"] for r in evaluate(begun, EVAL)]
    assert labels[-3:] == [
        f"ALR-XS encoder + decoder, tuned {stages}"
        for stages in ("forced", "forced, then kl+ce", "forced, then kl+ce, then ce")
    ]


def test_with_another_start_it_is_another(begun, notes):
    tune(begun, NEXT)
    tune(begun, NEXT, progress=notes)
    assert "nothing to do" in notes.said[-1]
    tune(begun, dataclasses.replace(FIRST, learning_rate=1e-3), overwrite=True)
    with pytest.raises(UserError, match="--overwrite"):
        tune(begun, NEXT)
    folder = tune(begun, NEXT, overwrite=True)
    now = tuned_record(begun, NAME)["inputs_digest"]
    assert tuned_record(begun, folder.name)["start"]["digest"] == now


@pytest.mark.parametrize(
    "changes",
    [
        {"train": "all", "order": ["decoder", "encoder"]},
        {"train": "norms", "losses": ["kl", "hidden", "forced"]},
        pytest.param({"train": "lora", "lora_rank": 2}, marks=needs_peft),
    ],
)
def test_killed_and_resumed_equals_uninterrupted(begun, tmp_path, changes):
    config = dataclasses.replace(NEXT, epochs=2, **changes)
    whole = tune(begun, config)
    shutil.move(whole, tmp_path / "whole")
    config = dataclasses.replace(config, checkpoint_minutes=0)
    with pytest.raises(Killed):
        tune(begun, config, progress=KillAfter(4, NAME))
    assert same(tune(begun, config), tmp_path / "whole")


def test_seeds_are_handed_on(begun):
    for seed in (0, 2):
        tune(begun, dataclasses.replace(FIRST, name=f"first{seed}", seed=seed))
        tune(begun, dataclasses.replace(NEXT, system=f"tuned/first{seed}"))
    tuned = [f"tuned/first{seed}-then-kl-ce" for seed in (0, 2)]
    records = evaluate(begun, EVAL, tuned)[1:]
    assert [(r["system"]["name"], r["seed"]) for r in records] == [(tuned[0], 0), (tuned[1], 2)]
    label = "ALR-XS encoder + decoder, tuned forced (first0), then kl+ce"
    assert records[0]["system"]["label"] == label


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"start": "untrained"}, "tune.start is untrained"),
        ({"start": "scratch", "train": "all"}, "tune.start is scratch"),
        ({"name": "first"}, "cannot take its own place"),
        ({"system": "tuned/second"}, "no tuned model 'second'; valid: first"),
        ({"order": ["encoder", "decoder", "cross"], "epochs": 3}, "the system replaces encoder, d"),
    ],
)
def test_what_makes_no_sense_is_refused(own, changes, words):
    tune(own, dataclasses.replace(FIRST, name="first"))
    with pytest.raises(UserError, match=words) as error:
        tune(own, dataclasses.replace(NEXT, **{"system": "tuned/first"} | changes))
    assert "\n" not in str(error.value)
    assert tuned_models(own) == ["first"]
