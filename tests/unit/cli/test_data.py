import pytest
from typer.testing import CliRunner

from attnreplace.errors import UserError
from attnreplace.rundir import RunDir
from attnreplace_cli.data import app
from attnreplace_cli.options import configure


def data(*arguments: str) -> str:
    result = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert result.exit_code == 0
    return result.stdout


def test_list_names_every_task():
    shown = data("list")
    for word in ("grammar", "digits", "iwslt2017", "mlm", "classification", "image"):
        assert word in shown


def test_preview_of_texts_with_classes(tmp_path):
    rows = [f"{('poor', 'fine')[i % 2]} {i}\t{i % 2}" for i in range(40)]
    (tmp_path / "train.tsv").write_text("\n".join(["sentence\tlabel", *rows]))
    given = ("--task", "classification", "--data-dir", str(tmp_path))
    shown = data("preview", *given, "--count", "1")
    assert "train: 28 lines" in shown
    assert "poor" in shown or "fine" in shown
    assert f"--task classification --data-dir {tmp_path}" in data("fetch", *given).replace("\n", "")


def test_preview_of_images():
    shown = data("preview", "--task", "image")
    assert "train: 1,258 images, 8 x 8" in shown.replace("\n", " ")
    assert "next: attnreplace train --task image" in data("fetch", "--task", "image")


def test_mistakes_are_user_errors():
    with pytest.raises(UserError, match="unknown task 'vision'; valid: translation, mlm"):
        data("preview", "--task", "vision")
    with pytest.raises(UserError, match="is for the task image, not mlm"):
        data("preview", "--task", "mlm", "--dataset", "digits")


def test_another_task_forgets_the_data_of_the_one_before(tmp_path):
    run = RunDir(tmp_path)
    given = {"dataset": "grammar", "test_sets": ["test"], "seed": 3}
    run.update_config(data=configure(run, {"data": given}).data)
    assert configure(run, {"data": {"task": "translation"}}).data.dataset == "grammar"
    changed = configure(run, {"data": {"task": "image"}}).data
    assert (changed.dataset, changed.test_sets, changed.seed) == ("", [], 3)
