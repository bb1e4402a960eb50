"""Which bundles a configuration asks for, and which sites of the store are in each."""

from attnreplace.activations.sites import ALL, group_sites, name_sites
from attnreplace.activations.source import ActivationSource
from attnreplace.distill.config import DistillConfig
from attnreplace.errors import UserError
from attnreplace.hosts import GROUPS, Group, Site, host_for
from attnreplace.methods import Method, get_method
from attnreplace.progress import Progress
from attnreplace.splice.bundle import BundleConfig, bundle_name
from attnreplace.students import student_config
from attnreplace.teacher.load import Teacher
from attnreplace.versions import versions


def plan_bundles(
    teacher: Teacher, source: ActivationSource, config: DistillConfig, progress: Progress
) -> dict[str, BundleConfig]:
    """By name, a bundle for every group, method, size and seed, where the method works.

    Raises:
        UserError: the store lacks some sites or has longer sentences than the students can read,
            or no method works at any of the groups.
    """
    methods = list(dict.fromkeys(map(get_method, config.methods)))
    groups = _choose_sites(teacher, source, config)
    positions = _positions(teacher, source, config)
    bundles = []
    for group, sites in groups.items():
        for method in methods:
            if group in method.groups:
                bundles += [
                    _bundle(teacher, config, method, size, sites, positions, seed)
                    for size in config.sizes
                    for seed in range(config.seed, config.seed + config.seeds)
                ]
            else:
                progress.note(f"{method.name} does not replace {group} attention: left out there")
    if not bundles:
        valid = [group for group in GROUPS if all(group in method.groups for method in methods)]
        raise UserError(
            f"nothing to distill: {', '.join(method.name for method in methods)} does not replace "
            f"{' or '.join(groups)} attention; choose another method, or --sites {','.join(valid)}"
        )
    return {bundle.name: bundle for bundle in bundles}


def _choose_sites(
    teacher: Teacher, source: ActivationSource, config: DistillConfig
) -> dict[Group, list[Site]]:
    """The sites of each group that is asked for, by layer."""
    held = sorted(map(Site.parse, source.identity.sites))
    stored = {site.group for site in held}
    asked = set(GROUPS if ALL in config.sites else config.sites or stored)
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


def _positions(teacher: Teacher, source: ActivationSource, config: DistillConfig) -> int:
    positions = config.positions or teacher.max_length
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
    size: str,
    sites: list[Site],
    positions: int,
    seed: int,
) -> BundleConfig:
    model, group = teacher.model, sites[0].group
    whole = len(sites) == len(group_sites(model, group))
    students = {
        str(site): student_config(
            method,
            size,
            host_for(model).locate(model, site),
            positions,
            cross_form=config.cross_form,
            hidden_layers=config.hidden_layers,
        )
        for site in sites
    }
    name = bundle_name(
        method.name,
        size,
        group,
        cross_form=config.cross_form,
        hidden_layers=config.hidden_layers,
        layers=None if whole else [site.layer for site in sites],
    )
    return BundleConfig(
        name=name if seed == config.seed else f"{name}-seed{seed}",
        method=method.name,
        family="shallow_ff",
        size=size,
        positions=positions,
        students=students,
        teacher_digest=teacher.digest,
        tokenizer_digest=teacher.tokenizer_digest,
        recipe=config.recipe,
        seed=seed,
        versions=versions(),
    )
