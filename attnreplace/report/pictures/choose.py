"""Which students are shown: one of each kind at each group of sites."""

from collections.abc import Iterable, Sequence
from statistics import fmean

from attnreplace.evaluate.labels import FAMILY_WORDS, family_word
from attnreplace.hosts import GROUPS, Group, Site
from attnreplace.methods import METHODS
from attnreplace.splice.bundle import BundleConfig

LAYERS = 2
"""How many layers of a stack are shown."""
STUDENTS = 4
"""How many are shown beside a teacher."""


def group_of(config: BundleConfig) -> Group:
    """The group of sites whose attention a bundle replaces."""
    return Site.parse(config.sites[0]).group


def choose_bundles(configs: Iterable[BundleConfig]) -> dict[Group, list[BundleConfig]]:
    """For each group of sites the best bundle of every family, and of every form of its weights.

    All of a group are of one method, so that they are compared on the same input and output: the
    one that most families were trained with.
    """
    by_group: dict[Group, list[BundleConfig]] = {}
    for config in configs:
        by_group.setdefault(group_of(config), []).append(config)
    return {group: _choose(by_group[group]) for group in GROUPS if group in by_group}


def spread(items: Sequence[int], count: int) -> list[int]:
    """At most `count` of the items, evenly spread, the first and the last among them."""
    if len(items) <= count:
        return list(items)
    steps = [round(i * (len(items) - 1) / (count - 1)) for i in range(count)]
    return [items[step] for step in steps]


def bundle_label(config: BundleConfig) -> str:
    """In a few words: "ALR-M", "ALR-M aMLP, dense"."""
    name = " ".join(
        filter(None, [f"{config.method}-{config.size}".upper(), family_word(config.family)])
    )
    return ", ".join([name, *_details(config)])


def _choose(configs: Sequence[BundleConfig]) -> list[BundleConfig]:
    kinds: dict[str, set[tuple[str, ...]]] = {}
    for config in configs:
        kinds.setdefault(config.method, set()).add(_kind(config))
    method = min(kinds, key=lambda name: (-len(kinds[name]), list(METHODS).index(name)))
    best: dict[tuple[str, ...], BundleConfig] = {}
    for config in sorted(configs, key=lambda c: (_error(c), c.name)):
        if config.method == method:
            best.setdefault(_kind(config), config)
    return [best[kind] for kind in sorted(best, key=_order)][:STUDENTS]


def _kind(config: BundleConfig) -> tuple[str, ...]:
    return (config.family, *_details(config))


def _order(kind: tuple[str, ...]) -> tuple[int, int]:
    return len(kind), list(FAMILY_WORDS).index(kind[0])


def _details(config: BundleConfig) -> list[str]:
    students = list(config.students.values())
    gated = config.family in ("sgu", "amlp")
    dense = gated and any(student.spatial == "dense" for student in students)
    paper = any(student.form == "paper" for student in students)
    return ["dense"] * dense + ["non-causal"] * paper


def _error(config: BundleConfig) -> float:
    errors = config.training.get("relative_mse") or {"": float("inf")}
    return fmean(errors.values())
