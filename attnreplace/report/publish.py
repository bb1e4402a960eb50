"""What of a run belongs under version control: figures and records, no text and no weights."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import tomli_w

from attnreplace.errors import UserError
from attnreplace.evaluate.record import record_path
from attnreplace.report.diagnosis import diagnosis_files, load_diagnoses
from attnreplace.report.diagnosis_tables import diagnosis_markdown
from attnreplace.report.parsing import parse_record
from attnreplace.report.pictures.picture import WITH_TEXT
from attnreplace.report.records import current_records, from_scratch, teachers_of
from attnreplace.report.search import load_searches
from attnreplace.report.tables import markdown_table
from attnreplace.report.tunings import tuning_files
from attnreplace.rundir import RunDir, read_json, write_json
from attnreplace.search.outcome import outcome_path


def publish(run: RunDir, folder: Path, beside: Sequence[RunDir] = ()) -> Path:
    """Copy a run's records to `folder` and write its table there as Markdown.

    Copied are the result records, the training records of the teacher and of what was tuned beside
    it, every bundle's configuration and history, the outcomes of searches, diagnoses with their
    tables in `errors.md`, and the configuration without the place of the data on this machine; of
    runs `beside` it the records of their teachers, as models trained from scratch. Translations,
    figures with sentences, weights and activations stay behind: they may hold text of corpora with
    a licence.

    Returns:
        The table's file.

    Raises:
        UserError: the run has no results, or one beside it cannot be compared.
    """
    records, _ = current_records(run)
    if not records:
        raise UserError(f"no results in {run.results}; run `attnreplace eval` first")
    (folder / "records").mkdir(parents=True, exist_ok=True)
    for path in records:
        shutil.copyfile(path, folder / "records" / path.name)
    scratch = from_scratch(run, beside)
    for record in scratch:
        result = parse_record(record, record["system"]["name"])
        path = record_path(folder / "records", result.name, result.test_set, result.setting)
        write_json(path, record)
    if (run.teacher / "training.json").is_file():  # Not there, where others trained the teacher.
        record = read_json(run.teacher / "training.json", dict)
        write_json(folder / "teacher.json", _without_places(record))
    for name in run.bundles():
        (folder / "students").mkdir(exist_ok=True)
        for file in ("config", "history"):
            source = run.students / name / f"{file}.json"
            shutil.copyfile(source, folder / "students" / f"{name}.{file}.json")
    teachers = teachers_of(records.values())
    for name, source in tuning_files(run, teachers).items():
        (folder / "tuned").mkdir(exist_ok=True)
        write_json(folder / "tuned" / f"{name}.json", _without_places(read_json(source, dict)))
    _publish_diagnoses(run, folder, teachers)
    for search in load_searches(run, teachers):
        (folder / "search").mkdir(exist_ok=True)
        path = outcome_path(run, search.minimise)
        shutil.copyfile(path, folder / "search" / path.name)
    settings = _without_places(run.config().to_dict())
    settings["data"].pop("data_dir", None)
    (folder / "config.toml").write_text(tomli_w.dumps(settings), encoding="utf-8")
    for figure in sorted(run.path.glob("*.png")):
        if figure.name.startswith(WITH_TEXT):
            continue
        shutil.copyfile(figure, folder / figure.name)
    table = folder / "table.md"
    table.write_text(markdown_table([*records.values(), *scratch]), encoding="utf-8")
    return table


def _publish_diagnoses(run: RunDir, folder: Path, teachers: set[str]) -> None:
    """Their records, and the tables of them as `errors.md`."""
    files = diagnosis_files(run, teachers)
    if not files:
        return
    (folder / "diagnosis").mkdir(exist_ok=True)
    for path in files:
        shutil.copyfile(path, folder / "diagnosis" / path.name)
    figure = "diagnosis.png" if (run.path / "diagnosis.png").is_file() else ""
    text = diagnosis_markdown(load_diagnoses(run, teachers), figure)
    (folder / "errors.md").write_text(text, encoding="utf-8")


def _without_places(value: Any) -> Any:
    """The same with absolute paths, which are of this machine, cut to their last part."""
    if isinstance(value, dict):
        return {name: _without_places(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_without_places(item) for item in value]
    if isinstance(value, str) and Path(value).is_absolute():
        return Path(value).name
    return value
