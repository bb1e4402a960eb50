"""Which students there are to choose from."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

from attnreplace.distill.config import DistillConfig
from attnreplace.errors import UserError
from attnreplace.hosts import Site, format_layers
from attnreplace.progress import Progress
from attnreplace.rundir import RunDir
from attnreplace.search.config import SearchConfig
from attnreplace.splice.bundle import BundleConfig, load_bundle_config, unknown_bundle
from attnreplace.students import student_class
from attnreplace.teacher.load import Teacher

Bundles = Mapping[str, BundleConfig]


def bundles_to_choose_from(
    run: RunDir, teacher: Teacher, config: SearchConfig, progress: Progress
) -> tuple[Bundles, Bundles]:
    """All bundles that can be compared, and those of them that are asked for, by name.

    Left out with a note are students of another teacher, and those of the paper's form at
    cross-attention: on references they read the words that they are to predict.

    Raises:
        UserError: there are none, or none of a name or kind.
    """
    there = {name: load_bundle_config(run.students / name) for name in run.bundles()}
    for name in config.bundles:
        if name not in there:
            raise unknown_bundle(name, there)
    every = {}
    for name, bundle in there.items():
        if bundle.teacher_digest != teacher.digest:
            progress.note(f"{name} is left out: its students are of another teacher")
        elif any(student.form == "paper" for student in bundle.students.values()):
            progress.note(f"{name} is left out: its students are not causal")
        else:
            every[name] = bundle
    if not every:
        raise UserError(
            f"no students to choose from in {run.students}; `attnreplace distill` makes them"
        )
    names = config.bundles or list(every)
    asked = {name: bundle for name, bundle in every.items() if name in names}
    if config.kinds:
        asked = {name: bundle for name, bundle in asked.items() if _kind(bundle) in config.kinds}
    if not asked:
        kinds = dict.fromkeys(map(_kind, every.values()))
        raise UserError(
            "no bundle that can be compared is of these names and kinds; "
            f"there are {', '.join(every)} ({', '.join(kinds)})"
        )
    return every, asked


def remade_by(bundles: Sequence[BundleConfig], base: DistillConfig) -> DistillConfig:
    """What makes these bundles anew, and besides them every combination of what they are.

    Args:
        bundles: as they are in a run, at least one; how they were trained, the first one says.
        base: holds what does not matter to a student.
    """
    first = bundles[0]
    known = {field.name for field in fields(DistillConfig)}
    settings = {k: v for k, v in first.training.get("settings", {}).items() if k in known}
    shapes = [shape for bundle in bundles for shape in bundle.students.values()]
    groups = {b.name: [Site.parse(site) for site in b.sites] for b in bundles}
    layers = {format_layers([site.layer for site in sites]) for sites in groups.values()}
    grid: dict[str, Any] = {
        "methods": _each(bundle.method for bundle in bundles),
        "sizes": _each(bundle.size for bundle in bundles),
        "families": _each(bundle.family for bundle in bundles),
        "sites": _each(sites[0].group for sites in groups.values()),
        "layers": layers.pop() if len(layers) == 1 else "",
        # Families without a spatial gate have the usual one.
        "spatial": next(
            (s.spatial for s in shapes if s.spatial != DistillConfig.spatial), DistillConfig.spatial
        ),
        "hidden_layers": shapes[0].hidden_layers,
        "positions": first.positions,
        "seeds": max(bundle.seed for bundle in bundles) - settings.get("seed", base.seed) + 1,
    }
    return replace(base, **settings | grid)


def _each(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))


def _kind(bundle: BundleConfig) -> str:
    """What its students are: all of one family and form."""
    return student_class(next(iter(bundle.students.values()))).kind
