"""The plan held against a real run, and what the documents say against real files."""

import dataclasses
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from attnreplace.activations.extract import ExtractConfig, extract
from attnreplace.activations.sites import choose_sites
from attnreplace.activations.store import ActivationStore
from attnreplace.distill.config import DistillConfig
from attnreplace.distill.distill import distill
from attnreplace.errors import UserError
from attnreplace.planning.check import check_run
from attnreplace.planning.corpora import run_counts, store_counts
from attnreplace.planning.machine import get_machine
from attnreplace.planning.plan import make_plan, store_bytes
from attnreplace.planning.teachers import empty_copy
from attnreplace.rundir import RunDir
from attnreplace_cli.main import app, main


@pytest.mark.parametrize("sites", [["encoder"], ["cross"], ["all"]])
@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_bytes_are_those_of_the_store(run_copy, sites, dtype):
    run = RunDir(run_copy.path)
    store = extract(run, ExtractConfig(sites=sites, dtype=dtype), overwrite=True)
    model = empty_copy(run.teacher)
    corpus = store_counts(store, "grammar")
    planned = store_bytes(model, choose_sites(model, sites), corpus, dtype)
    assert sum(planned.values()) == store.nbytes


def test_bytes_are_known_before_extraction(run_copy):
    run = RunDir(run_copy.path)
    written = ActivationStore.open(run.activations).nbytes
    run.activations.unlink()
    made = make_plan(
        run.config(), run_counts(run), empty_copy(run.teacher), get_machine("two-cores")
    )
    assert sum(made.store_bytes.values()) == written


def test_seconds_are_held_against_the_record(run_copy):
    run = RunDir(run_copy.path)
    students = DistillConfig(methods=["alr", "elr"], sizes=["xs"], epochs=1)
    distill(run, students)
    *before, checked = check_run(run, get_machine("two-cores"))
    assert [stage.stage for stage in before] == ["train", "extract"]
    assert all(stage.measured > 0 and stage.predicted > 0 for stage in before)
    assert checked.bundles == ["alr-xs", "elr-xs"]
    assert checked.students == checked.together == 4
    assert checked.measured > 0
    config = dataclasses.replace(run.config(), distill=students)
    made = make_plan(config, run_counts(run), empty_copy(run.teacher), get_machine("two-cores"))
    parts = made.stages[-1].parts
    # The same work; the plan of the stage adds the reading.
    assert checked.predicted == pytest.approx(sum(parts.values()) - parts["disk"])


def test_a_run_without_students_cannot_be_checked(tmp_path):
    with pytest.raises(UserError, match="no finished stage"):
        check_run(RunDir(tmp_path), get_machine("two-cores"))


def test_the_command_prints_a_plan(capsys, monkeypatch, run_copy):
    def call(*arguments):
        monkeypatch.setattr("sys.argv", ["attnreplace", "plan", *arguments])
        try:
            main()
        except SystemExit as exit_:
            return exit_.code, capsys.readouterr()
        return 0, capsys.readouterr()

    assert any(command.callback.__name__ == "plan" for command in app.registered_commands)
    code, said = call("--corpus", "iwslt2017", "--teacher", "1b", "--online", "--markdown")
    assert code == 0 and "| distill |" in said.out and "| extract |" not in said.out
    code, said = call("--run", str(run_copy.path), "--seeds", "2")
    assert code == 0 and "the store" in said.out
    code, said = call("--run", str(run_copy.path), "--teacher", "paper")
    assert code == 2 and "--run names a corpus" in said.err


PAGE = (Path(__file__).parents[2] / "docs" / "planning.md").read_text(encoding="utf-8")
PRINTED = re.findall(
    r"^```bash\nattnreplace (plan [^\n]* --markdown)\n```\n(.*?)(?=^```|^## )", PAGE, re.S | re.M
)
"""Commands, and what the page has below them."""


@pytest.mark.parametrize(
    ("command", "below"), [one for one in PRINTED if "--measure" not in one[0]]
)
def test_the_page_has_what_the_program_prints(command, below):
    printed = CliRunner().invoke(app, command.split())
    assert printed.exit_code == 0
    assert "| operations |" in printed.output
    assert printed.output.strip() in below


def test_the_store_can_be_read_as_its_document_says(extracted, monkeypatch, capsys):
    document = (Path(__file__).parents[2] / "docs" / "store.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", document, re.DOTALL)
    monkeypatch.chdir(extracted.path)
    exec(code, {})
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("attnreplace.activations/2 float16 ['encoder.self.0'")
    assert second.endswith("16) float16")


def test_documented_commands_have_their_options():
    import typer.main

    root = typer.main.get_command(app)
    docs = (Path(__file__).parents[2] / "docs").glob("*.md")
    text = "\n".join(path.read_text(encoding="utf-8") for path in docs).replace("\\\n", " ")
    called = re.findall(r"^(?!\|).*?attnreplace(?:_cli\.main)? (\w+) (.*)$", text, re.MULTILINE)
    found = [(name, option) for name, rest in called for option in re.findall(r"--[a-z-]+", rest)]
    assert len(found) > 50
    for name, option in found:
        options = {
            text for p in root.commands[name].params for text in (*p.opts, *p.secondary_opts)
        }
        assert option in options, f"{name} {option}"
