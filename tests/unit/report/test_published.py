from pathlib import Path
from types import SimpleNamespace

from attnreplace.config import RunConfig
from attnreplace.report.publish import publish
from attnreplace.rundir import RunDir, read_json, write_json
from attnreplace.search.outcome import SCHEMA, outcome_path


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


def test_of_searches_only_outcomes_are_published(tmp_path: Path, made: SimpleNamespace) -> None:
    run, found = RunDir(tmp_path / "run"), []
    made.write_records(run, [record := made.record("teacher", None, None, 30.0)], sentences=3)
    outcome = {
        "schema": SCHEMA, "minimise": "params", "max_drop": 0.5, "metric": "bleu",
        "sentences": 500, "sites": 6, "teacher": {"score": 30.0, "cost": 1_200_000},
        "frontier": [[0, 0.0]], "verified": [], "alone": [], "chosen": None, "chosen_cost": None,
        "source_tokens": 12, "new_tokens": 20, "device": "cpu", "bundles": {},
    }  # fmt: skip
    write_json(run.search / "scores.500.json", {})
    for place, teacher in enumerate(("another", record["digests"]["teacher"])):
        write_json(outcome_path(run, "params"), outcome | {"teacher_digest": teacher})
        folder = publish(run, tmp_path / str(place)).parent
        found.append([path.name for path in folder.glob("search/*")])
    assert found == [[], ["params.json"]]


def test_how_models_were_tuned_is_published(tmp_path: Path, made: SimpleNamespace) -> None:
    run, place = RunDir(tmp_path / "run"), str(tmp_path / "models" / "mini")
    made.write_records(run, [made.record("teacher", None, None, 30.0)], sentences=3)
    assert not (publish(run, tmp_path / "before").parent / "tuned").exists()
    made.tuned(run, "now", [30.0, 31.0], config={"learning_rate": 0.002}, device=place)
    made.tuned(run, "former", [29.0], teacher_digest="of another")
    folder = publish(run, tmp_path / "published").parent
    assert [path.name for path in (folder / "tuned").iterdir()] == ["now.json"]
    record = read_json(run.tuned / "now" / "training.json", dict)
    assert read_json(folder / "tuned" / "now.json") == record | {"device": "mini"}
    assert record["config"]["learning_rate"] == 0.002
