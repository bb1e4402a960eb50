"""Which bundles a configuration asks for, and which sites of the store are in each."""

from collections.abc import Sequence

from transformers import PreTrainedModel

from attnreplace.activations.sites import ALL, group_sites, model_groups, name_sites
from attnreplace.activations.source import ActivationSource
from attnreplace.distill.config import DistillConfig
from attnreplace.errors import UserError
from attnreplace.hosts import GROUPS, Group, Site, host_for
from attnreplace.methods import Method, get_method
from attnreplace.progress import Progress
from attnreplace.splice.bundle import BundleConfig, bundle_name
from attnreplace.students import FAMILIES, SGU, StudentConfig, student_config
from attnreplace.teacher.load import Teacher
from attnreplace.versions import versions


def plan_bundles(
    teacher: Teacher, source: ActivationSource, config: DistillConfig, progress: Progress
) -> dict[str, BundleConfig]:
    """By name, a bundle for every group, method, family, size and seed, where these work.

    Raises:
        UserError: the store lacks some sites or has longer sentences than the students can read,
            or no method and family work at any of the groups.
    """
    methods = list(dict.fromkeys(map(get_method, config.methods)))
    families = list(dict.fromkeys(config.families))
    groups = _choose_sites(teacher, source, config)
    positions = _positions(source, config)
    bundles = []
    for group, sites in groups.items():
        bundles += [
            _bundle(teacher, config, method, family, size, sites, positions, seed)
            for method in methods
            for family in families
            if works_at(group, config, method, family)
            for size in config.sizes
            for seed in range(config.seed, config.seed + config.seeds)
        ]
        unfit = [method.name for method in methods if group not in method.groups]
        for name in unfit + [name for name in families if not has_form(group, config, name)]:
            progress.note(f"{name} does not replace {group} attention: left out there")
    if not bundles:
        valid = [
            group
            for group in GROUPS
            if all(works_at(group, config, m, family) for m in methods for family in families)
        ]
        names = ", ".join(method.name for method in methods)
        if families != ["shallow_ff"]:
            names += f" with students of {', '.join(families)}"
        raise UserError(
            f"nothing to distill: {names} does not replace {' or '.join(groups)} attention; "
            f"choose another method or family, or --sites {','.join(valid)}"
        )
    return {bundle.name: bundle for bundle in bundles}


def works_at(group: Group, config: DistillConfig, method: Method, family: str) -> bool:
    """Whether students of this family can take the place of a group of sites by this method."""
    return group in method.groups and has_form(group, config, family)


def has_form(group: Group, config: DistillConfig, family: str) -> bool:
    """Whether a family has students that read as a group of sites needs."""
    return _form(group, config) in FAMILIES[family]


def _form(group: Group, config: DistillConfig) -> str:
    return {"encoder": "sentence", "decoder": "prefix", "cross": config.cross_form}[group]


def shape_students(
    config: DistillConfig,
    method: Method,
    family: str,
    size: str,
    model: PreTrainedModel,
    sites: Sequence[Site],
    positions: int,
) -> tuple[str, dict[str, StudentConfig]]:
    """The name of a bundle of the first seed, and the shape of its student at every site.

    Args:
        config: gives the depth, the form and the weights over the tokens.
        method: decides between one network and one per head.
        family: one that `works_at` the group.
        size: a name of `SIZES`.
        model: the teacher.
        sites: of one group.
        positions: N, the longest sentence in tokens.
    """
    group = sites[0].group
    # In the other students the setting has no part, and must not tell equal ones apart.
    chooses = issubclass(FAMILIES[family][_form(group, config)], SGU)
    spatial = config.spatial if chooses else "toeplitz"
    students = {
        str(site): student_config(
            method,
            size,
            host_for(model).locate(model, site),
            positions,
            family=family,
            cross_form=config.cross_form,
            hidden_layers=config.hidden_layers,
            spatial=spatial,
        )
        for site in sites
    }
    whole = len(sites) == len(group_sites(model, group))
    name = bundle_name(
        method.name,
        size,
        group,
        family=family,
        spatial=spatial,
        cross_form=config.cross_form,
        hidden_layers=config.hidden_layers,
        layers=None if whole else [site.layer for site in sites],
    )
    return name, students


def _choose_sites(
    teacher: Teacher, source: ActivationSource, config: DistillConfig
) -> dict[Group, list[Site]]:
    """The sites of each group that is asked for, by layer."""
    held = sorted(map(Site.parse, source.identity.sites))
    stored = {site.group for site in held}
    asked = set(model_groups(teacher.model) if ALL in config.sites else config.sites or stored)
    chosen: dict[Group, list[Site]] = {}
    for group in GROUPS:
        if group in asked:
            # Without a choice of layers, those of the group that the store has.
            chosen[group] = [site for site in held if site.group == group]
            if config.layers or not chosen[group]:
                chosen[group] = group_sites(teacher.model, group, config.layers)
    missing = {site for sites in chosen.values() for site in sites} - set(held)
    if missing:
        wanted = sorted(missing | set(held))
        words = name_sites(teacher.model, wanted)
        if len(held) < sum(len(group_sites(teacher.model, group)) for group in stored):
            # The run may be set to some layers, and a group's name then means those alone.
            words = [str(site) for site in wanted]
        raise UserError(
            f"{source} has no activations of "
            f"{', '.join(name_sites(teacher.model, missing))}; "
            f"run `attnreplace extract --sites {','.join(words)} --overwrite`"
        )
    return chosen


def _positions(source: ActivationSource, config: DistillConfig) -> int:
    positions = config.positions or source.identity.max_length
    if source.longest > positions:
        raise UserError(
            f"students of {positions} positions cannot read the store's longest sentence, "
            f"{source.longest} tokens; set distill.positions to {source.longest} or more"
        )
    return positions


def _bundle(
    teacher: Teacher,
    config: DistillConfig,
    method: Method,
    family: str,
    size: str,
    sites: list[Site],
    positions: int,
    seed: int,
) -> BundleConfig:
    name, students = shape_students(config, method, family, size, teacher.model, sites, positions)
    return BundleConfig(
        name=name if seed == config.seed else f"{name}-seed{seed}",
        method=method.name,
        family=family,
        size=size,
        positions=positions,
        students=students,
        teacher_digest=teacher.digest,
        tokenizer_digest=teacher.tokenizer_digest,
        recipe=config.recipe,
        seed=seed,
        versions=versions(),
    )
