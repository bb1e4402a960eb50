from pathlib import Path
from types import SimpleNamespace

from attnreplace.config import RunConfig
from attnreplace.report.publish import publish
from attnreplace.rundir import RunDir, write_json


def test_no_place_of_this_machine_is_published(tmp_path: Path, made: SimpleNamespace) -> None:
    run, place = RunDir(tmp_path / "run"), str(tmp_path / "models" / "mini")
    made.write_records(run, [made.record("teacher", None, None, 30.0)], sentences=3)
    values = {"data": {"task": "mlm", "data_dir": place}, "teacher": {"pretrained": place}}
    RunConfig.from_dict(values).save(run.config_path)
    write_json(run.teacher / "training.json", {"pretrained": {"name": place}, "history": []})
    folder = publish(run, tmp_path / "published").parent
    files = [folder / "config.toml", folder / "teacher.json"]
    texts = [file.read_text(encoding="utf-8") for file in files]
    assert all("mini" in text and str(tmp_path) not in text for text in texts)
