"""The run directory: the files that stages exchange, and nothing else."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attnreplace.errors import UserError
from attnreplace.files import replacing

if TYPE_CHECKING:
    from attnreplace.config import RunConfig
    from attnreplace.data.corpora import AnyCorpus


DEFAULT_RUN = Path("runs/default")
"""Where commands work that name no run."""


def run_suffix(run: Path) -> str:
    """How a command names this run; nothing for the default one."""
    return "" if run == DEFAULT_RUN else f" --run {run}"


def write_json(path: Path, value: Any) -> None:
    """Write JSON, whole or not at all."""
    write_text(path, json.dumps(value, indent=1, ensure_ascii=False) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write text, whole or not at all."""
    with replacing(path) as file:
        file.write(text.encode())


def read_json(
    path: Path, kind: type = object, remedy: str = "delete it and repeat the stage that wrote it"
) -> Any:
    """Read JSON.

    Args:
        path: the file.
        kind: the type that its value has to be of.
        remedy: what to do where it is not.

    Raises:
        UserError: the file is not JSON, or its value is of another type.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is not valid JSON ({error}); {remedy}") from error
    if not isinstance(value, kind):
        raise UserError(f"{path} is damaged (not of type {kind.__name__}); {remedy}")
    return value


@dataclass(frozen=True)
class RunDir:
    """`runs/<name>`: where each stage finds its input and leaves its output."""

    path: Path

    @property
    def config_path(self) -> Path:
        """What was asked of what a run has one of, its corpus, its teacher and its store, and what
        `run` was told of the rest. Each bundle, tuned model and record has settings of its own."""
        return self.path / "config.toml"

    @property
    def teacher(self) -> Path:
        """`save_pretrained` of the model and its tokenizer, with `training.json`."""
        return self.path / "teacher"

    @property
    def activations(self) -> Path:
        """The activation store."""
        return self.path / "activations.h5"

    @property
    def students(self) -> Path:
        """One folder a bundle."""
        return self.path / "students"

    @property
    def tuned(self) -> Path:
        """One folder a spliced model that was tuned."""
        return self.path / "tuned"

    @property
    def search(self) -> Path:
        """What is known of students one at a time, and what was chosen by it."""
        return self.path / "search"

    @property
    def results(self) -> Path:
        """One JSON record an evaluation."""
        return self.path / "results"

    @property
    def diagnoses(self) -> Path:
        """One JSON record a system and test set: what its loss is made of."""
        return self.results / "diagnosis"

    @property
    def report(self) -> Path:
        """What a person looks at."""
        return self.path / "report.html"

    def bundles(self) -> list[str]:
        """Names of the bundles in this run, sorted."""
        return sorted(path.parent.name for path in self.students.glob("*/config.json"))

    def config(self) -> "RunConfig":
        """The run's configuration, or the default where none was written yet."""
        from attnreplace.config import RunConfig

        return RunConfig.load(self.config_path) if self.config_path.exists() else RunConfig()

    def update_config(self, **sections: Any) -> None:
        """Note in `config.toml` what was asked for; another task brings its defaults."""
        import dataclasses

        from attnreplace.config import RunConfig

        base = self.config()
        task = sections.get("data", base.data).task
        if task != base.data.task:
            base = RunConfig.from_dict({"data": {"task": task}})
        dataclasses.replace(base, **sections).save(self.config_path)

    def update_stages(self, config: "RunConfig") -> None:
        """Note what all stages after the teacher's training are to do."""
        import dataclasses

        named = [field.name for field in dataclasses.fields(config)]
        first = ("data", "teacher", "training")
        self.update_config(**{name: getattr(config, name) for name in named if name not in first})

    def corpus(self) -> "AnyCorpus":
        """The corpus that the run's configuration names."""
        from attnreplace.data.corpora import load_corpus

        return load_corpus(self.config().data)
