"""The systems that a table compares: the teacher, its students, and what they have to beat."""

import copy
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from transformers import PreTrainedModel

from attnreplace.digest import digest_json
from attnreplace.evaluate.record import System
from attnreplace.hosts import Site, host_for
from attnreplace.rundir import RunDir
from attnreplace.splice.bundle import (
    BundleConfig,
    build_students,
    check_bundle,
    load_bundle_config,
)
from attnreplace.splice.removed import remove_attention
from attnreplace.splice.splice import load_spliced, splice
from attnreplace.students import SIZES
from attnreplace.teacher.load import Teacher


@dataclass(frozen=True)
class Candidate:
    """A system that can be built, and what its record says of it."""

    system: System
    limit: int
    """Longest source sentence it is given, in tokens."""
    build: Callable[[], PreTrainedModel]
    """A model in eval mode on the teacher's device; the teacher itself for the teacher."""
    replacement: int = 0
    """Parameters put in."""
    shapes: dict[str, Any] | None = None
    """Of students that were not trained, by site; with `seed` they decide the students."""
    bundle: str | None = None
    """Digest of students that were trained."""
    relative_mse: dict[str, float] | None = None
    recipe: str | None = None
    seed: int | None = None


def candidates(
    teacher: Teacher, run: RunDir, bundles: list[str], baselines: bool
) -> list[Candidate]:
    """The teacher, the baselines where they are wanted, and the asked bundles of a run.

    The baselines are those of the run, whichever bundles are asked for: attention removed at
    every site that some bundle of the run replaces (all of the encoder's, without bundles); and
    for every method and family among the asked ones the run's students of medium size as they
    were before training, from the same seed ("m", else the middle one of the sizes there are).
    """
    # Before anything runs for long: students that are damaged or of another teacher are refused.
    for name in bundles:
        check_bundle(run.students / name, teacher.digest)
    configs = {name: load_bundle_config(run.students / name) for name in run.bundles()}
    systems = [_teacher(teacher)]
    if baselines:
        # Students of a former teacher may not even fit.
        own = {n: c for n, c in configs.items() if c.teacher_digest == teacher.digest}
        systems.append(_removed(teacher, own))
        for kind in sorted({_kind(own[name]) for name in bundles if name in own}):
            name = _medium({n: c for n, c in own.items() if _kind(c) == kind})
            systems.append(_untrained(teacher, name, own[name]))
    return systems + [_student(teacher, run.students / name, configs[name]) for name in bundles]


def _teacher(teacher: Teacher) -> Candidate:
    system: System = {
        "kind": "teacher",
        "name": "teacher",
        "label": "Teacher",
        "method": None,
        "family": None,
        "size": None,
        "sites": [],
    }
    return Candidate(system, teacher.max_length, lambda: teacher.model)


def _removed(teacher: Teacher, configs: dict[str, BundleConfig]) -> Candidate:
    host = host_for(teacher.model)
    replaced = {Site.parse(site) for config in configs.values() for site in config.sites}
    sites = sorted(replaced) or [s for s in host.sites(teacher.model) if s.stack == "encoder"]

    def build() -> PreTrainedModel:
        model = copy.deepcopy(teacher.model)
        for site in sites:
            remove_attention(host.locate(model, site))
        return model

    system: System = {
        "kind": "removed",
        "name": "removed",
        "label": "Attention removed",
        "method": None,
        "family": None,
        "size": None,
        "sites": [str(site) for site in sites],
    }
    return Candidate(system, teacher.max_length, build)


def _untrained(teacher: Teacher, name: str, config: BundleConfig) -> Candidate:
    def build() -> PreTrainedModel:
        students = build_students(config, config.seed)
        return splice(copy.deepcopy(teacher.model), config, students)

    system = _described(config, f"untrained-{name}")
    system["kind"] = "untrained"
    system["label"] += ", untrained"
    return Candidate(
        system,
        _limit(teacher, config),
        build,
        replacement=_parameters(config),
        shapes={site: asdict(student) for site, student in config.students.items()},
        seed=config.seed,
    )


def _student(teacher: Teacher, path: Path, config: BundleConfig) -> Candidate:
    return Candidate(
        _described(config, path.name),
        _limit(teacher, config),
        lambda: load_spliced(teacher.model, path),
        replacement=_parameters(config),
        bundle=digest_json(config.to_json()),
        relative_mse=config.training.get("relative_mse"),
        recipe=config.recipe,
        seed=config.seed,
    )


def _described(config: BundleConfig, name: str) -> System:
    return {
        "kind": "student",
        "name": name,
        "label": f"{config.method}-{config.size}".upper(),
        "method": config.method,
        "family": config.family,
        "size": config.size,
        "sites": config.sites,
    }


def _kind(config: BundleConfig) -> tuple[str, str]:
    return config.method, config.family


def _medium(configs: dict[str, BundleConfig]) -> str:
    """The name of the bundle that stands for all of its method and family."""
    order = list(SIZES)
    names = sorted(configs, key=lambda name: (order.index(configs[name].size), name))
    medium = [name for name in names if configs[name].size == "m"]
    return medium[0] if medium else names[len(names) // 2]


def _limit(teacher: Teacher, config: BundleConfig) -> int:
    return min(teacher.max_length, config.positions)


def _parameters(config: BundleConfig) -> int:
    return sum(student.num_parameters() for student in config.students.values())
