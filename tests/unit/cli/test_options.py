from inspect import signature
from pathlib import Path
from typing import get_args

import pytest

from attnreplace.distill.config import DistillConfig
from attnreplace.errors import UserError
from attnreplace.rundir import RunDir
from attnreplace.students import FAMILIES
from attnreplace_cli.options import (
    NOTHING_SAID,
    FamilyOption,
    Grid,
    configure,
    families,
    naming_run,
    run_asked_for,
    takes_grid,
)


def test_the_help_names_every_family():
    """Which it cannot ask the registry for: that would load torch before every command."""
    _, option = get_args(FamilyOption)
    assert option.help.split(";")[0].split(", ") == families("all") == list(FAMILIES)


def test_a_stage_makes_its_choices_anew_and_works_as_the_run_was_told(tmp_path):
    run = RunDir(tmp_path)
    run.update_config(
        distill=DistillConfig(sites=["cross"], layers="0,1", hidden_layers=2, seeds=3, epochs=7)
    )
    anew = configure(run, {"distill": {"sizes": ["s"]}}, stage="distill").distill
    assert anew == DistillConfig(sizes=["s"], epochs=7)
    told = configure(run, {}, ['distill.layers="2"'], stage="distill").distill
    assert told == DistillConfig(layers="2", epochs=7)
    # `run` without a file repeats the whole.
    assert configure(run, {}).distill == run.config().distill


def test_what_a_stage_takes_from_the_run_is_said(tmp_path, notes):
    run = RunDir(tmp_path)
    configure(run, {}, ["distill.epochs=9"], stage="distill", progress=notes)
    assert notes.said == []
    run.update_config(distill=DistillConfig(sites=["cross"], seeds=3, epochs=7, precision="bf16"))
    configure(run, {"distill": {"epochs": None}}, stage="distill", progress=notes)
    configure(run, {"distill": {"epochs": 9}}, stage="distill", progress=notes)
    configure(run, {}, ["distill.epochs=9"], stage="distill", progress=notes)
    configure(run, {"tune": {"epochs": 2}}, stage="tune", progress=notes)
    where = f"distill, as in {run.config_path}"
    told = f"{where}: precision bf16 (for the defaults: --set distill.precision=default)"
    assert notes.said == [
        f"{where}: epochs 7, precision bf16 (for the defaults: --set distill.epochs=default)",
        told,
        told,
    ]
    back = ["distill.epochs=default", "distill.precision=default", "distill.learning_rate=default"]
    found = configure(run, {}, back, stage="distill", progress=notes).distill
    assert found == DistillConfig() and len(notes.said) == 3
    with pytest.raises(UserError, match="epoch"):
        configure(run, {}, ["distill.epoch=default"], stage="distill", progress=notes)
    assert len(notes.said) == 3
    # What repeats the whole run also repeats what it worked on.
    configure(run, {"distill": {"epochs": 9}}, progress=notes)
    assert notes.said[3].startswith(f"{where}: sites cross, precision bf16, seeds 3 (")


@pytest.mark.parametrize("run", [["--run", "runs/a"], ["--run=runs/a", "--beam", "4"]])
def test_advice_names_the_run_that_was_asked_for(run):
    message = "run `attnreplace train` first, or `attnreplace extract --sites all`"
    named = message.replace("train`", "train --run runs/a`").replace("all`", "all --run runs/a`")
    asked_for = run_asked_for(["attnreplace", "eval", *run])
    assert naming_run(message, asked_for) == named
    assert naming_run(message, run_asked_for(["attnreplace", "eval"])) == message
    assert naming_run(message, Path("runs/default")) == message
    for command in ("data list", "distill --help", "eval --run runs/b"):
        advice = f"see `attnreplace {command}`"
        assert naming_run(advice, asked_for) == advice


def test_a_model_of_another_task_needs_that_task(tmp_path):
    with pytest.raises(UserError, match=r"--model names a teacher of another task .* --task image"):
        configure(RunDir(tmp_path), {"teacher": {"model": "vit"}})
    images = configure(RunDir(tmp_path), {"data": {"task": "image"}, "teacher": {"model": "vit"}})
    assert images.data.task == "image"


def test_a_command_takes_every_option_that_names_students():
    said = Grid(
        method="alr,elr",
        size="s",
        family="sgu",
        sites="encoder",
        layers="0",
        hidden_layers=2,
        cross_form="paper",
        spatial="dense",
        positions=9,
        seeds=3,
        online=True,
    )
    found = []

    @takes_grid
    def command(before: int, students: Grid = NOTHING_SAID, after: int = 2) -> None:
        found.append((before, students, after))

    assert list(signature(command).parameters) == ["before", *vars(said), "after"]
    command(before=1, after=3, **vars(said))
    assert found == [(1, said, 3)]
    assert said.extract == {"sites": ["encoder"], "layers": "0"}
    others = vars(said) | {"methods": ["alr", "elr"], "sizes": ["s"], "families": ["sgu"]}
    assert said.distill == {
        name: value for name, value in others.items() if name not in ("method", "size", "family")
    } | {"sites": ["encoder"]}
    # Every field is one of the section's.
    assert DistillConfig(**said.distill)


def test_another_task_or_teacher_starts_anew(tmp_path):
    run = RunDir(tmp_path)
    configure(run, {}, ["teacher.d_model=32", "data.train_size=9"]).save(run.config_path)
    image = configure(run, {"data": {"task": "image"}}, ["teacher.layers=2", "training.seed=4"])
    assert (image.teacher.model, image.teacher.layers, image.teacher.d_model) == ("vit", 2, 64)
    assert (image.data.train_size, image.training.seed) == (None, 4)
    image.save(run.config_path)
    # Kept until another teacher is named, whichever way.
    assert configure(run, {}) == image
    for options, assignments in (
        ({"teacher": {"model": "gmlp"}}, []),
        ({}, ["teacher.model=gmlp"]),
    ):
        gmlp = configure(run, options, assignments)
        assert (gmlp.teacher.model, gmlp.teacher.layers, gmlp.training.seed) == ("gmlp", 6, 4)
    found = configure(run, {"teacher": {"pretrained": "a/b"}})
    assert (found.teacher.pretrained, found.training.learning_rate) == ("a/b", 3e-5)
    with pytest.raises(UserError, match="model and pretrained name different teachers"):
        configure(run, {"teacher": {"model": "gmlp", "pretrained": "a/b"}})
    with pytest.raises(UserError, match="gate does not apply to vit"):
        configure(run, {}, ["teacher.gate=split"])
