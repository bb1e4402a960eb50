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
from attnreplace.teacher.build import PRESETS, TeacherConfig, teacher_config
from attnreplace.teacher.config import TRAINING_PRESETS, TrainingConfig

C = TypeVar("C")


@dataclass(frozen=True)
class RunConfig:
    """Everything a run asks for; each section is the configuration of one stage."""

    data: DataConfig = field(default_factory=DataConfig)
    teacher: TeacherConfig = field(default_factory=lambda: teacher_config("tiny"))
    training: TrainingConfig = field(default_factory=TrainingConfig)
    extract: ExtractConfig = field(default_factory=ExtractConfig)
    distill: DistillConfig = field(default_factory=DistillConfig)
    evaluate: EvalConfig = field(default_factory=EvalConfig)

    @classmethod
    def from_dict(cls, values: dict[str, Any], where: str = "config") -> "RunConfig":
        """Build from nested dictionaries.

        `[teacher] preset = "paper"` stands for the fields of that preset, in `[teacher]` and in
        `[training]`; fields given beside it win. Without any field, the preset is "tiny".

        Raises:
            UserError: unknown section or field, or a value of the wrong type.
        """
        sections = {section.name: section for section in dataclasses.fields(cls)}
        _known(values, sections, where, "section")
        preset = _preset(values.get("teacher", {}), where)
        built: dict[str, Any] = {}
        for name, section in sections.items():
            fields = values.get(name, {})
            if not isinstance(fields, dict):
                raise UserError(f"{where}: {name} must be a section, [{name}]")
            if name == "teacher":
                fields = PRESETS[preset] | {k: v for k, v in fields.items() if k != "preset"}
            if name == "training":
                fields = TRAINING_PRESETS[preset] | fields
            built[name] = from_dict(typing.cast(type, section.type), fields, f"{where} [{name}]")
        return cls(**built)

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
            raise UserError(f"{path} is not valid TOML: {error}") from error
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


def _preset(teacher: Any, where: str) -> str:
    if not isinstance(teacher, dict):
        raise UserError(f"{where}: teacher must be a section, [teacher]")
    preset = teacher.get("preset", "paper" if teacher else "tiny")
    if preset not in PRESETS:
        raise UserError(f"{where}: unknown preset {preset!r}; valid: {', '.join(PRESETS)}")
    return preset


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
