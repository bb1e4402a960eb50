"""Assignments of students to sites, and what they are expected to do."""

from collections import Counter
from collections.abc import Mapping, Sequence

from transformers import PreTrainedModel

from attnreplace.evaluate.labels import student_label
from attnreplace.evaluate.specs import Chosen, canonical, choose, default_systems
from attnreplace.hosts import Site, host_for
from attnreplace.search.choose import Option, Point
from attnreplace.search.outcome import Assignment
from attnreplace.search.scores import StudentScore
from attnreplace.splice.bundle import BundleConfig


class Assignments:
    """Of the students to choose from."""

    def __init__(
        self,
        model: PreTrainedModel,
        bundles: Mapping[str, BundleConfig],
        entries: Sequence[StudentScore],
        minimise: str,
    ) -> None:
        """Take what is known.

        Args:
            model: the teacher's.
            bundles: by name.
            entries: what was measured of each student of these; one with which the model gives no
                numbers is no option.
            minimise: of the costs the one that counts.
        """
        self.bundles = bundles
        self.sites = host_for(model).sites(model)
        self._options: dict[tuple[str, str], Option] = {}
        for entry in filter(lambda entry: entry.usable, entries):
            assert entry.divergence is not None
            option = Option(entry.bundle, entry.costs[minimise], entry.divergence)
            self._options[entry.bundle, entry.site] = option

    def options(self) -> dict[str, list[Option]]:
        """The students by site."""
        by_site: dict[str, list[Option]] = {}
        for (_, site), option in self._options.items():
            by_site.setdefault(site, []).append(option)
        return by_site

    def of_point(self, point: Point) -> Assignment:
        """One that replaces something."""
        layers: dict[str, list[int]] = {}
        for site, bundle in point.chosen:
            layers.setdefault(bundle, []).append(Site.parse(site).layer)
        parts = (f"{name}:{','.join(map(str, own))}" for name, own in layers.items())
        return self.of_system("+".join(parts))

    def of_system(self, system: str) -> Assignment:
        """One by its specification."""
        parts = choose(system, self.bundles)
        keys = _students(parts)
        options = [self._options[key] for key in keys]
        return {
            "system": canonical(parts),
            "label": student_label(parts, Counter[str](site.group for site in self.sites)),
            "replaced": len(keys),
            "cost": sum(option.cost for option in options),
            "divergence": sum(option.divergence for option in options),
        }

    def alone(self) -> list[Assignment]:
        """Every bundle at all of its sites, and those that belong together."""
        return [
            self.of_system(system)
            for system in default_systems(self.bundles)
            if self._options.keys() >= {*_students(choose(system, self.bundles))}
        ]


def _students(parts: Sequence[Chosen]) -> list[tuple[str, str]]:
    """Bundle and site of each."""
    return [(part.bundle, str(site)) for part in parts for site in part.sites]
