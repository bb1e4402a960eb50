"""Published experiments: what lies in their folders."""

import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from attnreplace.errors import UserError
from attnreplace.report.fields import Fields
from attnreplace.report.numbers import count
from attnreplace.report.parsing import parse_records
from attnreplace.report.records import load_records
from attnreplace.report.result import Result, any_seed, of_several
from attnreplace.report.scopes import Scope
from attnreplace.report.selection import of_kind
from attnreplace.report.tables import plural
from attnreplace.rundir import read_json

CORPORA = {
    "multi30k": "Multi30k",
    "iwslt2017": "IWSLT2017",
    "grammar": "Embedded corpus",
    "parallel": "Files of a folder",
}
"""Corpora for people."""


@dataclass(frozen=True)
class Experiment:
    """A folder that `report --publish` wrote, with at least one record."""

    folder: Path
    source: Path | None
    """The configuration that it was run from, where that is there."""

    title: str
    """What it is, in a few words."""

    about: str
    """The same in more of them."""

    corpus: str
    """What was trained on, for people."""

    teacher: str
    """The teacher's shape in words; empty where nothing is known of it."""

    records: tuple[Mapping[str, Any], ...]
    results: tuple[Result, ...]
    """The records, parsed and in reading order."""

    @property
    def name(self) -> str:
        """The folder's name, and its heading's on the page."""
        return self.folder.name

    @property
    def study(self) -> str:
        """What those of other languages are, too: of one configuration, or of the same name."""
        if self.source is not None:
            return self.source.stem
        return self.name.removesuffix(self.results[0].pair).rstrip("-")

    @property
    def log(self) -> Path | None:
        """What is told of all experiments, beside their configurations; None where nothing is."""
        path = _project(self.folder) / "LOG.md"
        return path if path.is_file() else None

    @property
    def translates(self) -> bool:
        """Whether it is one of translation."""
        return self.results[0].task == "translation"

    @property
    def test_sets(self) -> list[str]:
        """Their names, sorted."""
        return sorted({result.test_set for result in self.results})

    @property
    def compares(self) -> bool:
        """Whether there are other students than the paper's in it."""
        return any(r.family != "shallow_ff" for r in of_kind(self.results, "student"))

    def is_whole(self, result: Result) -> bool:
        """Whether a system replaces all layers of the groups of sites that it is at."""
        every = {site for other in self.results for site in other.sites}
        groups = set(result.scope.groups)
        return {site for site in every if groups.issuperset(Scope.of([site]).groups)} == {
            *result.sites
        }


def load_experiments(folder: Path) -> list[Experiment]:
    """The published experiments in a folder, by name.

    Raises:
        UserError: there are none, or a file is broken.
    """
    found = [path.parent for path in sorted(folder.glob("*/records")) if any(path.glob("*.json"))]
    if not found:
        raise UserError(
            f"no published experiments in {folder}; `attnreplace report --publish "
            f"{folder}/NAME` puts one there"
        )
    return [_load(path) for path in found]


def by_corpus(experiments: Iterable[Experiment]) -> dict[str, list[Experiment]]:
    """Experiments on the same corpus, the corpora with most results first."""
    return _grouped(experiments, lambda one: one.corpus)


def by_study(experiments: Iterable[Experiment]) -> dict[str, list[Experiment]]:
    """Experiments of the same configuration, those with most results first."""
    return _grouped(experiments, lambda one: one.study)


def _grouped(
    experiments: Iterable[Experiment], key: Callable[[Experiment], str]
) -> dict[str, list[Experiment]]:
    groups: dict[str, list[Experiment]] = {}
    for experiment in experiments:
        groups.setdefault(key(experiment), []).append(experiment)
    sizes = {name: sum(len(one.results) for one in group) for name, group in groups.items()}
    return {name: groups[name] for name in sorted(groups, key=lambda name: -sizes[name])}


def describe_data(experiment: Experiment) -> str:
    """Its corpus and test sets: `Multi30k de-en; test_2016_flickr (1,000 sentences)`."""
    first = {result.test_set: result for result in reversed(experiment.results)}
    sets = [
        f"`{name}` ({plural(first[name].examples, first[name].example)})"
        for name in experiment.test_sets
    ]
    return f"{experiment.corpus} {experiment.results[0].pair}".strip() + f"; {', '.join(sets)}"


def _load(folder: Path) -> Experiment:
    records = load_records(folder / "records")
    # Not there, where others trained the teacher.
    path = folder / "teacher.json"
    training = Fields(read_json(path, dict) if path.is_file() else {}, str(path))
    dataset = _dataset(folder) or training.may(str, "corpus", "name") or folder.name
    source = _source(folder)
    bundles = _bundles(folder)
    return Experiment(
        folder,
        source,
        folder.name if source is None else re.split("[:;]", _comment(source))[0].rstrip(". "),
        folder.name if source is None else _comment(source).partition(";")[0].rstrip(". "),
        CORPORA.get(dataset, dataset),
        _teacher(training),
        tuple(records),
        tuple(_told_apart(_weighed(result, bundles) for result in parse_records(records))),
    )


def _source(folder: Path) -> Path | None:
    """The configuration beside the folder of all results whose name that of this one begins with.

    One configuration may serve several runs: "study.toml" for "study-de-en" and "study-en-de".
    """
    words = folder.name.split("-")
    names = ["-".join(words[:number]) for number in range(len(words), 0, -1)]
    paths = [_project(folder) / f"{name}.toml" for name in names]
    return next((path for path in paths if path.is_file()), None)


def _project(folder: Path) -> Path:
    """The folder beside that of all results, of which `folder` is one."""
    return folder.resolve().parent.parent


@dataclass(frozen=True)
class _Bundle:
    """What is known of students without their weights."""

    sites: frozenset[str]
    parameters: int


def _bundles(folder: Path) -> dict[str, _Bundle]:
    found = {}
    for path in sorted(folder.glob("students/*.config.json")):
        config = Fields(read_json(path, dict), str(path))
        sites, count = config.may(list, "sites"), config.may(int, "training", "parameters")
        if sites is not None and count is not None:
            found[config.need(str, "name")] = _Bundle(frozenset(sites), count)
    return found


def _weighed(result: Result, bundles: Mapping[str, _Bundle]) -> Result:
    """A result with the parameters of its students, also where no cost was measured."""
    parts = [bundles[name] for name in result.parts if name in bundles]
    # A system may have some layers of a bundle only.
    whole = frozenset[str]().union(*(part.sites for part in parts)) == {*result.sites}
    if result.replacement is not None or not parts or not whole:
        return result
    return replace(result, replacement=sum(part.parameters for part in parts))


def _told_apart(results: Iterable[Result]) -> list[Result]:
    """Results whose labels differ wherever their names do in more than `-seedN`.

    A copied bundle, or a model tuned under another `--name`, is no further seed.
    """
    found = list(results)
    keys = [(one.kind, one.scope, any_seed(one.label)) for one in found]
    clash = of_several(zip(keys, (any_seed(one.name) for one in found), strict=True))
    return [
        replace(one, label=f"{one.label} ({one.name})") if key in clash else one
        for key, one in zip(keys, found, strict=True)
    ]


def _dataset(folder: Path) -> str:
    """The corpus that was asked for; nothing where it was files, or the usual one."""
    path = folder / "config.toml"
    settings = tomllib.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return Fields(settings, str(path)).may(str, "data", "dataset") or ""


def _comment(source: Path) -> str:
    """The first line of a configuration, where it is a comment."""
    line = source.read_text(encoding="utf-8").partition("\n")[0]
    return line.lstrip("# ") if line.startswith("#") else source.stem


def _teacher(training: Fields) -> str:
    """A teacher's shape: `6+6 layers, d 128, 8 heads, ..., 3.29 M parameters`."""

    def size(name: str) -> int | None:
        return training.may(int, "config", "teacher", name)

    encoder, decoder = size("encoder_layers"), size("decoder_layers")
    layers = f"{encoder}+{decoder}" if encoder is not None else size("layers")
    total, body = (training.may(int, "parameters", name) for name in ("total", "body"))
    facts = {
        "{}": training.may(str, "config", "teacher", "model"),
        "{}, trained by others": training.may(str, "pretrained", "class"),
        "{} layers": layers,
        "d {}": size("d_model"),
        "{} heads": size("num_heads"),
        "feed-forward {}": size("d_ff"),
        "vocabulary {:,}": size("vocab_size"),
        "{} parameters": total and count(total),
        "{} of them without embeddings": body and count(body),
        "{:,} examples to train on": training.may(int, "corpus", "train"),
    }
    return ", ".join(text.format(value) for text, value in facts.items() if value)
