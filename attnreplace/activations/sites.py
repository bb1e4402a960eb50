"""Which sites a configuration names: whole groups, some of their layers, or single sites."""

from collections.abc import Collection, Sequence

from transformers import PreTrainedModel

from attnreplace.errors import UserError
from attnreplace.hosts import GROUPS, Group, Site, host_for, parse_layers

ALL = "all"
"""Stands for every group."""


def model_groups(model: PreTrainedModel) -> list[Group]:
    """The groups that a model has; one without a decoder has the encoder's alone."""
    groups = {site.group for site in host_for(model).sites(model)}
    return [group for group in GROUPS if group in groups]


def group_sites(model: PreTrainedModel, group: Group, layers: str = "") -> list[Site]:
    """The sites of a group, by layer.

    Args:
        layers: only these, as "0,2-5"; empty for all of them.

    Raises:
        UserError: the model has no such group, or the group no such layer.
    """
    sites = sorted(site for site in host_for(model).sites(model) if site.group == group)
    if not sites:
        raise UserError(
            f"a {model.config.model_type} model has no {group} attention; it has: "
            f"{', '.join(model_groups(model))}"
        )
    return [sites[layer] for layer in parse_layers(layers, len(sites))]


def choose_sites(model: PreTrainedModel, wanted: Sequence[str], layers: str = "") -> list[Site]:
    """The sites that a configuration names, each once, in the order of `Site`.

    Args:
        wanted: groups ("encoder", "decoder", "cross", "all") and single sites ("encoder.self.0").
        layers: only these layers of the groups; empty for all of them.

    Raises:
        UserError: one that the model does not have.
    """
    single = {str(site): site for site in host_for(model).sites(model)}
    there = model_groups(model)
    chosen: set[Site] = set()
    for text in wanted:
        groups = there if text == ALL else [group for group in there if group == text]
        if not groups and text not in single:
            raise UserError(
                f"cannot extract {text}; available: {', '.join(there)}, {ALL}, or single sites: "
                f"{', '.join(single)}"
            )
        chosen.update(site for group in groups for site in group_sites(model, group, layers))
        if text in single:
            chosen.add(single[text])
    return sorted(chosen)


def name_sites(model: PreTrainedModel, sites: Collection[Site]) -> list[str]:
    """The inverse of `choose_sites`: the fewest words that name these sites."""
    groups = model_groups(model)
    whole = [group for group in groups if set(group_sites(model, group)) <= set(sites)]
    if len(whole) == len(GROUPS):
        return [ALL]
    return [*whole, *(str(site) for site in sorted(sites) if site.group not in whole)]
