"""Systems as text: which bundles, or which of their layers, go into one model.

A specification is "alr-m" (all layers of that bundle), "alr-m:0-2,4" (some of them), or several of
these joined, "alr-m+alr-m-decoder+alr-m-cross".
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from attnreplace.errors import UserError
from attnreplace.hosts import GROUPS, Site, format_layers
from attnreplace.rundir import RunDir
from attnreplace.splice.bundle import BundleConfig, bundle_name, unknown_bundle
from attnreplace.splice.splice import BundlePart
from attnreplace.students import StudentConfig


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
    def student(self) -> StudentConfig:
        """The first site's student: those of a bundle are of one family, form and depth."""
        return next(iter(self.config.students.values()))

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

    For each method, family and size that has bundles in their plain form (one hidden layer, causal,
    all layers) for more than one group, all of them make one more system, and so do those of each
    further seed.

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
    shapes = dict.fromkeys(
        (configs[name].method, configs[name].family, configs[name].size) for name in alone
    )
    seeds = sorted({configs[name].seed for name in alone})
    for method, family, size in shapes:
        plain = [bundle_name(method, size, group, family=family) for group in GROUPS]
        for names in (plain, *([f"{name}-seed{seed}" for name in plain] for seed in seeds)):
            parts = [name for name in names if name in alone]
            if len(parts) > 1:
                together.append("+".join(parts))
    return alone + together


def without_seed(name: str, seed: int | None) -> str:
    """The name of a system, its bundles named as those of the first seed.

    Args:
        name: "alr-m-seed2:0-2+alr-m-decoder-seed2".
        seed: of all its bundles; None where they differ: the name stays.
    """
    return name if seed is None else re.sub(rf"-seed{seed}(?!\d)", "", name)


def _part(text: str, configs: Mapping[str, BundleConfig]) -> Chosen:
    name, colon, layers = (piece.strip() for piece in text.partition(":"))
    if name not in configs:
        raise unknown_bundle(name, configs)
    config = configs[name]
    if colon and not layers:
        raise UserError(f"{text!r} names no layers; write it as {name}:0-2,4, or as {name}")
    chosen = config.select(layers)
    return Chosen(name, chosen, whole=len(chosen.sites) == len(config.sites))
