"""Which sites a configuration names: whole groups, some of their layers, or single sites."""

from collections.abc import Collection, Sequence

from transformers import PreTrainedModel

from attnreplace.errors import UserError
from attnreplace.hosts import GROUPS, Site, host_for, parse_layers

ALL = "all"
"""Stands for every group."""


def group_sites(model: PreTrainedModel, group: str, layers: str = "") -> list[Site]:
    """The sites of a group, by layer.

    Args:
        layers: only these, as "0,2-5"; empty for all of them.

    Raises:
        UserError: the group has no such layer.
    """
    sites = sorted(site for site in host_for(model).sites(model) if site.group == group)
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
    chosen: set[Site] = set()
    for text in wanted:
        groups = GROUPS if text == ALL else [group for group in GROUPS if group == text]
        if not groups and text not in single:
            raise UserError(
                f"cannot extract {text}; available: {', '.join(GROUPS)}, {ALL}, or single sites: "
                f"{', '.join(single)}"
            )
        chosen.update(site for group in groups for site in group_sites(model, group, layers))
        if text in single:
            chosen.add(single[text])
    return sorted(chosen)


def name_sites(model: PreTrainedModel, sites: Collection[Site]) -> list[str]:
    """The inverse of `choose_sites`: the fewest words that name these sites."""
    whole = [group for group in GROUPS if set(group_sites(model, group)) <= set(sites)]
    if len(whole) == len(GROUPS):
        return [ALL]
    return [*whole, *(str(site) for site in sorted(sites) if site.group not in whole)]
