"""The records of a run, and those of other runs that may stand beside them."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from attnreplace.errors import UserError
from attnreplace.evaluate.stale import bundle_files, of_former_students
from attnreplace.report.parsing import parse_record
from attnreplace.rundir import RunDir, read_json
from attnreplace.teacher.pretrained_config import PretrainedConfig


def load_records(folder: Path) -> list[dict[str, Any]]:
    """The records of a results folder, by file name; none where there is no folder.

    Raises:
        UserError: a file is not a result record; the message names it.
    """
    return list(_read(folder).values())


def current_records(run: RunDir) -> tuple[dict[Path, dict[str, Any]], list[str]]:
    """The records of a run by file, and the names of the systems that are left out.

    Left out are records of students that are gone, or that others have taken the place of.

    Raises:
        UserError: a file is not a result record; the message names it.
    """
    records, files = _read(run.results), bundle_files(run)
    former = {path: r for path, r in records.items() if of_former_students(r, files)}
    current = {path: record for path, record in records.items() if path not in former}
    return current, list(dict.fromkeys(r["system"]["name"] for r in former.values()))


def teachers_of(records: Iterable[Mapping[str, Any]]) -> set[str]:
    """Digests of the teachers of some records."""
    found = (record.get("digests", {}).get("teacher") for record in records)
    return {digest for digest in found if digest}


def from_scratch(run: RunDir, others: Sequence[RunDir]) -> list[dict[str, Any]]:
    """The teachers of other runs, as models of their own beside this run's systems.

    Args:
        run: its records say which test sets and scores there are to compare with.
        others: runs of the same task, evaluated on the same test sets.

    Raises:
        UserError: a run has no teacher's result on any of these test sets, or one that cannot be
            compared: of other examples or, where tokens are predicted, of other tokens or masks.
    """
    own = {_setting(r): r for r in current_records(run)[0].values()}
    return [record for other in others for record in _teachers(other, own)]


def _teachers(run: RunDir, own: Mapping[Any, Mapping[str, Any]]) -> list[dict[str, Any]]:
    name, found = run.path.resolve().name, []
    pretrained = isinstance(run.config().teacher, PretrainedConfig)
    label = f"{name}, {'fine-tuned' if pretrained else 'from scratch'}"
    for record in load_records(run.results):
        setting = _setting(record)
        if record["system"]["kind"] != "teacher" or setting not in own:
            continue
        if _compared(record) != _compared(own[setting]):
            raise UserError(
                f"the test set {record['test_set']} of {run.path} is another one, or is read "
                "otherwise, than that of this run; evaluate both on the same data"
            )
        system = record["system"] | {"kind": "scratch", "name": f"scratch-{name}", "label": label}
        found.append(record | {"system": system})
    if not found:
        raise UserError(
            f"{run.path} has no result of its teacher on the test sets of this run; run "
            f"`attnreplace eval --run {run.path}` on the same data first"
        )
    return found


def _setting(record: Mapping[str, Any]) -> tuple[Any, ...]:
    """What tells the evaluations of one system apart."""
    return record["test_set"], record.get("metric"), record.get("decoding", {}).get("beam")


def _compared(record: Mapping[str, Any]) -> list[Any]:
    """What has to be equal for scores to be comparable."""
    digests, scores = record.get("digests", {}), record["scores"]
    tokens = [digests.get("tokenizer")] if "perplexity" in scores else []
    return [digests.get("test_set"), *tokens, {n: s.get("signature") for n, s in scores.items()}]


def _read(folder: Path) -> dict[Path, dict[str, Any]]:
    records = {}
    for path in sorted(folder.glob("*.json")):
        record = read_json(path)
        parse_record(record, str(path))
        records[path] = record
    return records
