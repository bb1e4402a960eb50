"""The configuration of a whole run, as TOML."""

import dataclasses
import tomllib
import types
import typing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import tomli_w

from attnreplace.activations.extract import ExtractConfig
from attnreplace.data.corpora import DataConfig
from attnreplace.distill.config import DistillConfig
from attnreplace.errors import UserError
from attnreplace.evaluate.config import EvalConfig
from attnreplace.rundir import write_text
from attnreplace.search.config import SearchConfig
from attnreplace.tasks import get_task
from attnreplace.teacher.build import teacher_config
from attnreplace.teacher.config import BaseTraining, TrainingConfig
from attnreplace.teacher.train import AnyTeacher
from attnreplace.tune.config import TuneConfig

C = TypeVar("C")


@dataclass(frozen=True)
class RunConfig:
    """Everything a run asks for; each section is the configuration of one stage.

    Of which class the teacher's and the training's are, the task says.
    """

    data: DataConfig = field(default_factory=DataConfig)
    teacher: AnyTeacher = field(default_factory=lambda: teacher_config("tiny"))
    training: BaseTraining = field(default_factory=TrainingConfig)
    extract: ExtractConfig = field(default_factory=ExtractConfig)
    distill: DistillConfig = field(default_factory=DistillConfig)
    tune: TuneConfig = field(default_factory=TuneConfig)
    search: SearchConfig = field(default_factory=SearchConfig)
    evaluate: EvalConfig = field(default_factory=EvalConfig)

    @classmethod
    def from_dict(cls, values: dict[str, Any], where: str = "config") -> "RunConfig":
        """Build from nested dictionaries.

        For translation, `[teacher] preset = "paper"` stands for the fields of that preset, in
        `[teacher]` and in `[training]`; without any field, the preset is "tiny". For other tasks
        `model = "gmlp-ti"` stands for the shape of that model. Fields given beside it win.

        Raises:
            UserError: unknown section or field, or a value of the wrong type.
        """
        sections = {section.name: section for section in dataclasses.fields(cls)}
        _known(values, sections, where, "section")
        for name, fields in values.items():
            if not isinstance(fields, dict):
                raise UserError(f"{where}: {name} must be a section, [{name}]")
        given = {name: dict(values.get(name, {})) for name in sections}
        classes = {name: section.type for name, section in sections.items()}
        task = get_task(from_dict(DataConfig, given["data"], f"{where} [data]").task)
        try:
            chosen = task.sections(given["teacher"])
        except UserError as error:
            raise UserError(f"{where}: {error}") from error
        given["teacher"].pop("preset", None)
        given["teacher"] = {**chosen.shape, **given["teacher"]}
        given["training"] = {**chosen.recipe, **given["training"]}
        given["distill"] = {**chosen.distill, **given["distill"]}
        classes |= {"teacher": chosen.teacher, "training": chosen.training}
        return cls(
            **{
                name: from_dict(typing.cast(type, classes[name]), fields, f"{where} [{name}]")
                for name, fields in given.items()
            }
        )

    def to_dict(self) -> dict[str, Any]:
        """Nested dictionaries without the fields that are None."""
        return {
            section: {key: value for key, value in fields.items() if value is not None}
            for section, fields in dataclasses.asdict(self).items()
        }

    @classmethod
    def load(cls, path: Path) -> "RunConfig":
        """Read a TOML file.

        Raises:
            UserError: missing, not TOML, or not a valid configuration.
        """
        try:
            values = tomllib.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise UserError(f"cannot read the configuration {path}: {error.strerror}") from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise UserError(f"{path} is not valid TOML: {error}; mend it, or delete it") from error
        return cls.from_dict(values, str(path))

    def save(self, path: Path) -> None:
        """Write as TOML."""
        write_text(path, tomli_w.dumps(self.to_dict()))


def from_dict(cls: type[C], values: dict[str, Any], where: str) -> C:
    """Build a configuration dataclass, checking names and types.

    Raises:
        UserError: unknown field or a value of the wrong type.
    """
    hints = typing.get_type_hints(cls)
    _known(values, hints, where, "field")
    for name, value in values.items():
        if not _fits(value, hints[name]):
            raise UserError(
                f"{where}: {name} = {value!r} should be of type {_type_name(hints[name])}"
            )
    return cls(**values)


def _known(values: dict[str, Any], valid: typing.Iterable[str], where: str, what: str) -> None:
    for name in values:
        if name not in valid:
            raise UserError(f"{where}: unknown {what} {name!r}; valid: {', '.join(valid)}")


def _fits(value: Any, hint: Any) -> bool:
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        return any(_fits(value, option) for option in typing.get_args(hint))
    if origin is list:
        (item,) = typing.get_args(hint)
        return isinstance(value, list) and all(_fits(element, item) for element in value)
    if origin is typing.Literal:
        return value in typing.get_args(hint)
    if isinstance(value, bool):
        return hint is bool
    return isinstance(value, (int, float) if hint is float else hint)


def _type_name(hint: Any) -> str:
    return hint.__name__ if isinstance(hint, type) else str(hint)
