"""Options that several commands share, and how they become a configuration."""

import dataclasses
import re
import tomllib
from collections.abc import Callable, Sequence
from functools import wraps
from inspect import Parameter, Signature, signature
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from attnreplace.errors import UserError
from attnreplace.progress import NullProgress, Progress
from attnreplace.rundir import DEFAULT_RUN, RunDir, run_suffix

if TYPE_CHECKING:
    from attnreplace.config import RunConfig

RunOption = Annotated[Path, typer.Option("--run", file_okay=False, help="The run directory.")]
OverwriteOption = Annotated[
    bool, typer.Option("--overwrite", help="Replace results of other settings.")
]
ANY_FIELD = "Any field of config.toml, e.g. training.label_smoothing=0.2; repeatable."
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="SECTION.FIELD=VALUE",
        help=f"{ANY_FIELD} Holds for this command; `run` keeps it for the run's later commands, "
        "`train` what is of corpus and teacher, `extract` what is of the store.",
    ),
]
ConfigArgument = Annotated[
    Path | None, typer.Argument(help="A TOML file; without it, the run's own or the default.")
]
TaskOption = Annotated[
    str | None,
    typer.Option("--task", help="translation (default), mlm, classification (of texts), image."),
]
DatasetOption = Annotated[
    str | None,
    typer.Option(
        help="grammar, iwslt2017, digits, or a `datasets` id; see `attnreplace data list`. "
        "Default: the task's embedded data."
    ),
]
DataDirOption = Annotated[
    Path | None,
    typer.Option(help="A folder, archive or file of the task's data; see `attnreplace data list`."),
]
PairOption = Annotated[
    str | None,
    typer.Option(help="Source and target language, as de-en; the source's text for mlm."),
]
PresetOption = Annotated[
    str | None, typer.Option(help="Teacher for translation: tiny, paper or base.")
]
ModelOption = Annotated[
    str | None,
    typer.Option(
        help="Teacher for other tasks: vit, ff-only, attention-only, gmlp, amlp, gmlp-ti, ...; "
        "bert, gmlp, amlp, amlp-base, ..."
    ),
]
PretrainedOption = Annotated[
    str | None,
    typer.Option(
        metavar="NAME|FOLDER",
        help="Start from a model of the Hugging Face Hub or a folder; with training.epochs = 0 it "
        "is the teacher as it is.",
    ),
]
MethodOption = Annotated[
    str | None, typer.Option("--method", help="alr, aslr, alrr, elr; several with commas; or all.")
]
SizeOption = Annotated[
    str | None, typer.Option("--size", help="xs, s, m, l, xl; several with commas; or all.")
]
FamilyOption = Annotated[
    str | None,
    typer.Option(
        "--family",
        help="shallow_ff, token_mlp, sgu, amlp, gated, summaries, pairwise, tiny, gaussian, "
        "synthesizer, random_synthesizer, linear_attention; several with commas; or all.",
    ),
]
SpatialOption = Annotated[
    str | None,
    typer.Option(
        "--spatial", help="Weights of sgu and amlp over tokens: toeplitz (by distance) or dense."
    ),
]
SitesOption = Annotated[
    str | None,
    typer.Option(
        "--sites",
        help="Whose attention: encoder (self), decoder (self), cross; several with commas; or all.",
    ),
]
LayersOption = Annotated[
    str | None, typer.Option("--layers", help="Layers of these sites, as 0,2-5; default: all.")
]
HiddenLayersOption = Annotated[
    int | None, typer.Option("--hidden-layers", help="Hidden layers of a student; default: 1.")
]
CrossFormOption = Annotated[
    str | None,
    typer.Option(
        "--cross-form",
        help="Students of cross-attention: per-query (causal), or paper: all positions at once.",
    ),
]
PositionsOption = Annotated[
    int | None,
    typer.Option(
        "--positions", help="Longest sentence of a student, in tokens; default: the teacher's."
    ),
]
SeedsOption = Annotated[
    int | None,
    typer.Option("--seeds", help="Students of so many seeds, the further ones as NAME-seed1."),
]
OnlineOption = Annotated[
    bool | None,
    typer.Option(
        "--online/--stored", help="Activations from the running teacher: no store, no disk."
    ),
]
BundleOption = Annotated[
    str | None,
    typer.Option(
        "--bundle",
        metavar="NAME[:LAYERS][+NAME...]",
        help="Bundles of the run, several with commas; joined by +, they go into one model; "
        "alr-m:0-2 takes some of its layers; tuned/NAME is a tuned model. Default: each alone, "
        "those of one method and size together, and all that were tuned.",
    ),
]

ADVICE = re.compile(
    r"`(attnreplace (?:train|extract|distill|tune|search|eval|report)\b"
    r"(?![^`]*--(?:run|help))[^`]*)`"
)
"""A command in a message, of those that work on a run."""

NOT_IN_LAYERS = re.compile(r",(?!\s*\d+(?:-\d+)?\s*(?:[,+]|$))")
"""A comma that separates bundles, not layers of one: what follows is not just a number."""


def naming_run(message: str, run: Path) -> str:
    """A message in which the commands that it advises, as `attnreplace train`, name a run."""
    return ADVICE.sub(lambda found: f"`{found[1]}{run_suffix(run)}`", message)


def run_asked_for(arguments: Sequence[str]) -> Path:
    """The run that the program's arguments name, or the default one."""
    named = re.search(r"\0--run[\0=]([^\0]+)", "\0".join(arguments))
    return Path(named[1]) if named else DEFAULT_RUN


def pretrained_name(value: str | None) -> str | None:
    """What `--pretrained` names; a folder by its full path, so that the run can be repeated."""
    return str(Path(value).resolve()) if value is not None and Path(value).is_dir() else value


def words(value: str | None) -> list[str] | None:
    """Comma-separated words; None stays None."""
    return None if value is None else [word.strip() for word in value.split(",") if word.strip()]


def methods(value: str | None) -> list[str] | None:
    """What `--method` names."""
    from attnreplace.methods import METHODS, get_method

    named = list(METHODS) if value == "all" else words(value)
    # An alias becomes the method's name.
    return named and list(dict.fromkeys(get_method(name).name for name in named))


def sizes(value: str | None) -> list[str] | None:
    """What `--size` names."""
    from attnreplace.students import SIZES

    return list(SIZES) if value == "all" else words(value)


def families(value: str | None) -> list[str] | None:
    """What `--family` names."""
    from attnreplace.students import FAMILIES

    return list(FAMILIES) if value == "all" else words(value)


def site_groups(value: str | None) -> list[str] | None:
    """What `--sites` names, each of the groups once.

    Raises:
        UserError: something else than groups of sites.
    """
    from attnreplace.hosts import GROUPS

    named: list[str] | None = [*GROUPS] if value == "all" else words(value)
    for name in named or []:
        if name not in GROUPS:
            raise UserError(f"unknown sites {name!r}; valid: {', '.join(GROUPS)}, all")
    return named and list(dict.fromkeys(named))


def bundles(value: str | None) -> list[str] | None:
    """What `--bundle` names: "alr-m:0-2,4+alr-m-cross,alrr-m" are two."""
    if value is None:
        return None
    return [spec.strip() for spec in NOT_IN_LAYERS.split(value) if spec.strip()]


@dataclasses.dataclass(frozen=True)
class Grid:
    """Which students there are to be, as options say it; None: not said."""

    method: MethodOption = None
    size: SizeOption = None
    family: FamilyOption = None
    sites: SitesOption = None
    layers: LayersOption = None
    hidden_layers: HiddenLayersOption = None
    cross_form: CrossFormOption = None
    spatial: SpatialOption = None
    positions: PositionsOption = None
    seeds: SeedsOption = None
    online: OnlineOption = None

    @property
    def extract(self) -> dict[str, Any]:
        """What has to be captured for them, as fields of the section `extract`."""
        return {"sites": site_groups(self.sites), "layers": self.layers}

    @property
    def distill(self) -> dict[str, Any]:
        """The same as fields of the section `distill`."""
        return {
            "methods": methods(self.method),
            "sizes": sizes(self.size),
            "families": families(self.family),
            "sites": site_groups(self.sites),
            "layers": self.layers,
            "hidden_layers": self.hidden_layers,
            "cross_form": self.cross_form,
            "spatial": self.spatial,
            "positions": self.positions,
            "seeds": self.seeds,
            "online": self.online,
        }


NOTHING_SAID = Grid()


def takes_grid(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of `Grid` in place of its parameter `students`.

    Typer reads options from a function's signature, one by one.
    """
    options = [
        Parameter(field.name, Parameter.KEYWORD_ONLY, default=None, annotation=field.type)
        for field in dataclasses.fields(Grid)
    ]
    shown: list[Parameter] = []
    for own in signature(command).parameters.values():
        shown += options if own.name == "students" else [own.replace(kind=Parameter.KEYWORD_ONLY)]

    @wraps(command)
    def with_options(**values: Any) -> None:
        students = Grid(**{option.name: values.pop(option.name) for option in options})
        command(students=students, **values)

    with_options.__signature__ = Signature(shown)  # type: ignore[attr-defined]
    with_options.__annotations__ = {one.name: one.annotation for one in shown}
    return with_options


CHOICES = {
    "extract": ("sites", "layers", "max_train"),
    "distill": (
        "methods",
        "families",
        "sizes",
        "sites",
        "layers",
        "hidden_layers",
        "cross_form",
        "spatial",
        "positions",
        "seeds",
        "online",
    ),
    "tune": ("system", "name", "losses", "weights", "train", "order", "start", "targets", "seed"),
    "search": ("max_drop", "minimise", "bundles", "kinds"),
    "evaluate": ("beams", "test_sets", "systems", "baselines", "cost", "over_long"),
}
"""Which things a stage works on. Its command takes what it is not told from the defaults that
`--help` names, whatever `run` was told; how it works on them, from the run's `config.toml`."""

REPEATED = ("extract", "distill", "tune", "evaluate")
"""Stages of `run` that can be told how to work, besides the teacher's."""

WHICH_TEACHER = ("preset", "model", "pretrained")
"""Fields of which one names the teacher, and with it the defaults of its training."""


def configure(
    run: RunDir,
    options: dict[str, dict[str, Any]],
    assignments: list[str] | None = None,
    file: Path | None = None,
    stage: str | None = None,
    progress: Progress = NullProgress(),  # noqa: B008
) -> "RunConfig":
    """The configuration: the file's, or the run's own, changed by what the command line says.

    Args:
        run: its `config.toml` is the base where no file is given.
        options: values by section and field; None means not given.
        assignments: `section.field=value`, the value as in TOML; text needs no quotes, and
            `default` is the default.
        file: a TOML file.
        stage: the section of a command that runs one stage: its `CHOICES` are made anew.
        progress: is told what the run's own configuration says of this stage, or of all those of
            `run`, that differs from the defaults.

    Raises:
        UserError: unknown names or values of the wrong type.
    """
    from attnreplace.config import RunConfig

    base = run.config() if file is None else RunConfig.load(file)
    values = base.to_dict()
    if stage is not None:
        for choice in CHOICES[stage]:
            values[stage].pop(choice, None)
    changes: dict[str, dict[str, Any]] = {
        section: {name: value for name, value in fields.items() if value is not None}
        for section, fields in options.items()
    }
    for assignment in assignments or []:
        name, equals, text = assignment.partition("=")
        section, dot, key = name.partition(".")
        if not (equals and dot):
            raise UserError(f"--set {assignment!r} should read section.field=value")
        changes.setdefault(section, {})[key] = _toml_value(text)
    _start_anew(values, changes)
    for section, fields in changes.items():
        for name, value in fields.items():
            if value == "default" and hasattr(getattr(base, section, None), name):
                values[section].pop(name, None)
            else:
                value = str(value) if isinstance(value, Path) else value
                values.setdefault(section, {})[name] = value
    config = RunConfig.from_dict(values, "the command line" if file is None else str(file))
    for section in [stage] if stage else [] if file else REPEATED:
        _say_taken(run, config, section, changes.get(section, {}), progress)
    return config


def _say_taken(
    run: RunDir,
    config: "RunConfig",
    stage: str,
    told: dict[str, Any],
    progress: Progress,
) -> None:
    """Note what holds for a stage though neither its command says so nor `--help`."""
    from attnreplace.config import RunConfig

    usual = RunConfig.from_dict({"data": {"task": config.data.task}}).to_dict()[stage]
    taken = {
        name: value
        for name, value in config.to_dict()[stage].items()
        if name not in told and value != usual.get(name)
    }
    if taken:
        said = ", ".join(f"{name} {_plain(value)}" for name, value in taken.items())
        progress.note(
            f"{stage}, as in {run.config_path}: {said} "
            f"(for the defaults: --set {stage}.{next(iter(taken))}=default)"
        )


def _start_anew(values: dict[str, Any], changes: dict[str, dict[str, Any]]) -> None:
    """Drop what belongs to another task or teacher than the changes name."""
    from attnreplace.config import RunConfig

    seed = {"seed": values["training"]["seed"]}
    task = changes.get("data", {}).get("task", values["data"]["task"])
    if task != values["data"]["task"]:
        data = {"task": task, "seed": values["data"]["seed"]}
        values |= RunConfig.from_dict({"data": data, "training": seed}).to_dict()
    if task == "translation" and "model" in changes.get("teacher", {}):
        raise UserError(
            "--model names a teacher of another task than translation; say which, as in --task "
            "image, or name a --preset"
        )
    named = [name for name in WHICH_TEACHER if name in changes.get("teacher", {})]
    if len(named) > 1:
        raise UserError(f"{' and '.join(named)} name different teachers; give one of them")
    if named:
        values["teacher"], values["training"] = {}, seed


def _toml_value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _plain(value: object) -> str:
    """A setting, a list of several as options take them."""
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)
