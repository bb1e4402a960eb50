"""Systems as text: which bundles, or which of their layers, go into one model.

A specification is "alr-m" (all layers of that bundle), "alr-m:0-2,4" (some of them), or several of
these joined, "alr-m+alr-m-decoder+alr-m-cross".
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from attnreplace.errors import UserError
from attnreplace.hosts import GROUPS, Site, format_layers
from attnreplace.rundir import RunDir
from attnreplace.splice.bundle import BundleConfig, bundle_name
from attnreplace.splice.splice import BundlePart


@dataclass(frozen=True)
class Chosen:
    """A bundle, or some layers of one."""

    bundle: str
    """Name of its folder in the run."""
    config: BundleConfig
    """Its configuration, with the students of the chosen layers."""
    whole: bool
    """Whether these are all of its layers."""

    @property
    def sites(self) -> list[Site]:
        """The sites it replaces, ascending."""
        return sorted(map(Site.parse, self.config.sites))

    @property
    def group(self) -> str:
        """The group of these sites: a bundle has one."""
        return self.sites[0].group

    @property
    def form(self) -> str:
        """How the students read."""
        return next(iter(self.config.students.values())).form

    @property
    def hidden_layers(self) -> int:
        """Depth of the students."""
        return next(iter(self.config.students.values())).hidden_layers

    @property
    def layers(self) -> str:
        """The layers as text, "0-2,4"."""
        return format_layers([site.layer for site in self.sites])

    @property
    def name(self) -> str:
        """As it stands in a specification."""
        return self.bundle if self.whole else f"{self.bundle}:{self.layers}"


def choose(spec: str, configs: Mapping[str, BundleConfig]) -> list[Chosen]:
    """What a specification names, in the order of `GROUPS` and layers.

    Args:
        spec: the specification.
        configs: the bundles there are, by name.

    Raises:
        UserError: an unknown bundle, a layer that is not in it, or two parts that replace the same
            site.
    """
    parts = [_part(text.strip(), configs) for text in spec.split("+")]
    parts.sort(key=lambda part: (GROUPS.index(part.sites[0].group), part.sites))
    owners: dict[Site, str] = {}
    for part in parts:
        for site in part.sites:
            if site in owners:
                raise UserError(
                    f"{owners[site]!r} and {part.name!r} both replace {site}; "
                    "choose bundles, or layers of them, that replace different sites"
                )
            owners[site] = part.name
    return parts


def canonical(parts: Iterable[Chosen]) -> str:
    """The specification of these parts: the name of the system."""
    return "+".join(part.name for part in parts)


def bundle_parts(run: RunDir, parts: Iterable[Chosen]) -> list[BundlePart]:
    """These parts as `load_spliced` takes them."""
    return [
        BundlePart(run.students / part.bundle, "" if part.whole else part.layers) for part in parts
    ]


def default_systems(
    configs: Mapping[str, BundleConfig], groups: Sequence[str] | None = None
) -> list[str]:
    """What is compared where nobody chose: every bundle alone, and those that belong together.

    For each method and size that has bundles in their plain form (one hidden layer, causal, all
    layers) for more than one group, all of them make one more system.

    Args:
        configs: the bundles there are, by name.
        groups: only systems within these groups of sites; None: all.
    """
    alone = [
        name
        for name, config in configs.items()
        if groups is None or Site.parse(config.sites[0]).group in groups
    ]
    together = []
    shapes = dict.fromkeys((configs[name].method, configs[name].size) for name in alone)
    for method, size in shapes:
        plain = [bundle_name(method, size, group) for group in GROUPS]
        parts = [name for name in plain if name in alone]
        if len(parts) > 1:
            together.append("+".join(parts))
    return alone + together


def _part(text: str, configs: Mapping[str, BundleConfig]) -> Chosen:
    name, colon, layers = (piece.strip() for piece in text.partition(":"))
    if name not in configs:
        raise UserError(f"unknown bundle {name!r}; valid: {', '.join(configs) or 'none yet'}")
    config = configs[name]
    if colon and not layers:
        raise UserError(f"{text!r} names no layers; write it as {name}:0-2,4, or as {name}")
    chosen = config.select(layers)
    return Chosen(name, chosen, whole=len(chosen.sites) == len(config.sites))
