"""Make the pictures of a run from its model, its students and some validation sentences."""

from pathlib import Path

import torch

from attnreplace.digest import digest_json
from attnreplace.hosts import Group, Site
from attnreplace.insight import SpatialWeights, spatial_weights
from attnreplace.progress import NullProgress, Progress
from attnreplace.report.pictures.choose import bundle_label, choose_bundles
from attnreplace.report.pictures.current import model_digest
from attnreplace.report.pictures.examples import Examples, load_examples
from attnreplace.report.pictures.maps import Bundle, model_attention_picture, site_pictures
from attnreplace.report.pictures.picture import FILE, SCHEMA, Picture, load_pictures, save_pictures
from attnreplace.report.pictures.weights import weights_picture
from attnreplace.report.scopes import Scope
from attnreplace.rundir import RunDir
from attnreplace.splice.bundle import BundleConfig, load_bundle, load_bundle_config
from attnreplace.teacher.load import Teacher, load_teacher

SENTENCES = 9
"""One is shown by itself, the others as their mean."""


def make_pictures(run: RunDir, progress: Progress | None = None) -> None:
    """Make what `load_charts` shows, unless it was made from the same before.

    Raises:
        UserError: the run has no model, or its corpus cannot be had.
    """
    progress = progress or NullProgress()
    configs = [load_bundle_config(run.students / name) for name in run.bundles()]
    chosen = choose_bundles(configs)
    key = _key(run, chosen)
    if load_pictures(run.path / FILE)[0] == key:
        return
    teacher = load_teacher(run.teacher)
    teacher.model.float().requires_grad_(False)
    examples = load_examples(teacher, run.corpus(), SENTENCES)
    pictures = []
    with progress.task("pictures", max(len(chosen), 1)) as task:
        for group, members in chosen.items():
            bundles = [_load(run.students / config.name) for config in members]
            bundles = [one for one in bundles if one[0].teacher_digest == teacher.digest]
            if bundles:
                pictures += site_pictures(teacher, group, bundles, examples.items)
                pictures += _student_weights(group, bundles, examples)
            task.advance()
        if not chosen:
            pictures = _model_pictures(teacher, examples, model_digest(run))
    save_pictures(run.path / FILE, key, pictures)


def _key(run: RunDir, chosen: dict[Group, list[BundleConfig]]) -> str:
    bundles = {c.name: c.weights_digest for members in chosen.values() for c in members}
    data = run.config().to_dict()["data"]
    return digest_json([SCHEMA, bundles, model_digest(run), data])


def _load(path: Path) -> Bundle:
    config, students = load_bundle(path)
    return config, {site: one.float().requires_grad_(False) for site, one in students.items()}


def _student_weights(group: Group, bundles: list[Bundle], examples: Examples) -> list[Picture]:
    pictures = []
    for config, students in bundles:
        found = [
            (_heading(site, i, len(parts)), one)
            for site, student in sorted(students.items())
            for parts in [spatial_weights(student)]
            for i, one in enumerate(parts)
        ]
        if found:
            of = {config.name: config.weights_digest}
            word = Scope((group,)).name
            label = f"{bundle_label(config)}, {word}"
            patches = examples.typical is None
            pictures.append(
                weights_picture(config.name, label, found, examples.typical, of, patches=patches)
            )
    return pictures


def _heading(site: Site, part: int, parts: int) -> str:
    return f"Layer {site.layer}" if parts == 1 else f"Layer {site.layer}, part {part + 1}"


def _model_pictures(teacher: Teacher, examples: Examples, of: dict[str, str]) -> list[Picture]:
    """A model without attention that was trained from scratch."""
    model = teacher.model
    name = {"ff_only": "FF-only"}.get(model.config.model_type, "gMLP")
    name = "aMLP" if getattr(model.config, "attention_size", 0) else name
    found: list[tuple[str, SpatialWeights]] = [
        (f"Layer {i}", one) for i, one in enumerate(spatial_weights(model))
    ]
    if not found:
        return []
    patches = examples.typical is None
    pictures = [
        weights_picture("model", f"the {name}", found, examples.typical, of, patches=patches)
    ]
    with torch.no_grad():
        tiny = model_attention_picture(f"the {name}", model, examples.items[0], of)
    return pictures + ([tiny] if tiny else [])
