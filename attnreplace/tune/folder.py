"""Tuned models in a run: what is there, and what each is."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from transformers import PreTrainedModel

from attnreplace.errors import UserError
from attnreplace.evaluate.specs import Chosen
from attnreplace.rundir import RunDir, read_json
from attnreplace.splice.bundle import BundleConfig
from attnreplace.splice.pretrained import load_spliced_pretrained
from attnreplace.teacher.load import load_model

SCHEMA = "attnreplace.tuned/1"
RECORD = "training.json"
TEACHER = "teacher"
"""What is tuned where that is no students: the teacher itself."""
TUNED = "tuned/"
"""How names of tuned systems begin."""


def tuned_models(run: RunDir) -> list[str]:
    """Names of the tuned models in a run, sorted."""
    return sorted(path.parent.name for path in run.tuned.glob(f"*/{RECORD}"))


def tuned_record(run: RunDir, name: str) -> dict[str, Any]:
    """How a tuned model came to be.

    Raises:
        UserError: there is none of that name, or its record is damaged.
    """
    path = run.tuned / name / RECORD
    if not path.is_file():
        valid = ", ".join(tuned_models(run)) or "none yet"
        raise UserError(f"no tuned model {name!r}; valid: {valid}")
    record: dict[str, Any] = read_json(path, dict)
    if record.get("schema") != SCHEMA:
        raise UserError(
            f"{path} is damaged (not of schema {SCHEMA}); delete its folder, and tune again"
        )
    return record


def tuned_of(run: RunDir, name: str, teacher_digest: str) -> dict[str, Any]:
    """The same, of a model that is of this teacher.

    Raises:
        UserError: it is not, or there is none of that name, or its record is damaged.
    """
    record = tuned_record(run, name)
    if record["teacher_digest"] != teacher_digest:
        raise UserError(
            f"{run.tuned / name} was tuned beside another teacher; tune again, with --overwrite"
        )
    return record


def tuned_summary(record: Mapping[str, Any]) -> str:
    """What was done to a tuned model, for people, with its name where it was given one."""
    named = record["config"].get("name")
    return str(record["summary"]) + (f" ({named})" if named else "")


def tuned_parts(run: RunDir, name: str) -> list[Chosen]:
    """The students in a tuned model, as they are described in its own folder; none in a teacher."""
    system = tuned_record(run, name)["system"]
    words = [] if system == TEACHER else system.split("+")
    path = run.tuned / name / "config.json"
    described = read_json(path, dict).get("attnreplace", [])
    bundles = [BundleConfig.from_json(value, str(path)) for value in described]
    return [
        Chosen(bundle.name, bundle, whole=":" not in word)
        for bundle, word in zip(bundles, words, strict=True)
    ]


def load_tuned(run: RunDir, name: str) -> PreTrainedModel:
    """A tuned model, in eval mode.

    Raises:
        UserError: its files are damaged.
    """
    folder = run.tuned / name
    return load_spliced_pretrained(folder) if tuned_parts(run, name) else load_model(folder)


def tuned_seed(record: Mapping[str, Any], parts: Iterable[Chosen]) -> int:
    """The seed that sets a tuned model apart: the tuning's, or else that of what it began with.

    Args:
        record: as `tuned_record` gives it.
        parts: as `tuned_parts` gives them.
    """
    config = record["config"]
    own: int = config["seed"]
    if own or config["start"] != "distilled":
        return own
    if start := record.get("start"):
        return int(start["seed"])
    seeds = {part.config.seed for part in parts}
    return seeds.pop() if len(seeds) == 1 else own


def tuned_systems(run: RunDir, groups: Sequence[str] | None) -> list[str]:
    """All tuned models as systems to evaluate.

    Args:
        run: where they are.
        groups: only those within these groups of sites; None: all.
    """
    return [
        f"{TUNED}{name}"
        for name in tuned_models(run)
        if groups is None or {part.group for part in tuned_parts(run, name)} <= set(groups)
    ]
