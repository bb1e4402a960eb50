"""What of a run belongs under version control: figures and records, no text and no weights."""

import shutil
from pathlib import Path

import tomli_w

from attnreplace.errors import UserError
from attnreplace.report.records import current_records
from attnreplace.report.tables import markdown_table
from attnreplace.rundir import RunDir


def publish(run: RunDir, folder: Path) -> Path:
    """Copy a run's records to `folder` and write its table there as Markdown.

    Copied are the result records, the teacher's training record, every bundle's configuration and
    history, and the configuration without the place of the data on this machine. Translations,
    weights and activations stay behind: they may hold text of corpora with a licence.

    Returns:
        The table's file.

    Raises:
        UserError: the run has no results.
    """
    records, _ = current_records(run)
    if not records:
        raise UserError(f"no results in {run.results}; run `attnreplace eval --bleu` first")
    (folder / "records").mkdir(parents=True, exist_ok=True)
    for path in records:
        shutil.copyfile(path, folder / "records" / path.name)
    shutil.copyfile(run.teacher / "training.json", folder / "teacher.json")
    for name in run.bundles():
        (folder / "students").mkdir(exist_ok=True)
        for file in ("config", "history"):
            source = run.students / name / f"{file}.json"
            shutil.copyfile(source, folder / "students" / f"{name}.{file}.json")
    settings = run.config().to_dict()
    settings["data"].pop("data_dir", None)
    (folder / "config.toml").write_text(tomli_w.dumps(settings), encoding="utf-8")
    for figure in sorted(run.path.glob("*.png")):
        shutil.copyfile(figure, folder / figure.name)
    table = folder / "table.md"
    table.write_text(markdown_table(records.values()), encoding="utf-8")
    return table
