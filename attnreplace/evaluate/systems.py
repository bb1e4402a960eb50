"""The systems that a table compares: the teacher, its students, and what they have to beat."""

import copy
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from transformers import PreTrainedModel

from attnreplace.digest import digest_json
from attnreplace.evaluate.labels import (
    groups_of,
    removed_label,
    removed_name,
    student_label,
    student_variant,
    tuned_label,
)
from attnreplace.evaluate.record import Part, System
from attnreplace.evaluate.specs import Chosen, bundle_parts, canonical, choose, without_seed
from attnreplace.evaluate.stale import UNTRAINED
from attnreplace.hosts import ATTENTION_FREE, GROUPS, Site, host_for
from attnreplace.rundir import RunDir, read_json
from attnreplace.splice.bundle import (
    CONFIG,
    BundleConfig,
    build_students,
    bundle_digest,
    check_bundle,
    load_bundle_config,
)
from attnreplace.splice.removed import remove_attention
from attnreplace.splice.splice import load_spliced, splice
from attnreplace.students import SIZES
from attnreplace.teacher.load import Teacher
from attnreplace.tune.folder import (
    TUNED,
    load_tuned,
    tuned_of,
    tuned_parts,
    tuned_seed,
    tuned_summary,
)

T = TypeVar("T")


@dataclass(frozen=True)
class Candidate:
    """A system that can be built, and what its record says of it."""

    system: System
    limit: int
    """Longest source sentence it is given, in tokens."""
    build: Callable[[], PreTrainedModel]
    """A model in eval mode on the teacher's device; the teacher itself for the teacher."""
    replacement: int = 0
    """Parameters put in."""
    shapes: dict[str, Any] | None = None
    """Of students that were not trained, by site; with `seed` they decide the students."""
    bundle: str | None = None
    """Digest of students that were trained."""
    relative_mse: dict[str, float] | None = None
    recipe: str | None = None
    seed: int | None = None

    @property
    def identity(self) -> dict[str, Any]:
        """What of `system` decides a record, besides the digests."""
        # These follow from the sites and from the digests of the bundles.
        derived = ("variant", "groups", "parts")
        return {name: value for name, value in self.system.items() if name not in derived}


def candidates(
    teacher: Teacher, run: RunDir, specs: Sequence[str], baselines: bool
) -> list[Candidate]:
    """The teacher, the baselines where they are wanted, and the asked systems of a run.

    The baselines are attention removed at every set of sites that an asked system replaces (all of
    the encoder's, where none is asked for); and for every method, family, set of sites and form
    among the whole bundles asked for alone, the run's students of medium size as they were before
    training, from the same seed ("m", else the middle one of the sizes there are). A teacher that
    has no attention has none of these.

    Raises:
        UserError: a specification that names nothing; students that are damaged or of another
            teacher.
    """
    configs = {name: load_bundle_config(run.students / name) for name in run.bundles()}
    tuned = [spec.removeprefix(TUNED) for spec in specs if spec.startswith(TUNED)]
    asked = (choose(spec, configs) for spec in specs if not spec.startswith(TUNED))
    systems = {canonical(parts): parts for parts in asked}
    # Before anything runs for long.
    for name in dict.fromkeys(part.bundle for parts in systems.values() for part in parts):
        check_bundle(run.students / name, teacher.digest)
    factory = _Factory(teacher, run)
    found = [factory.teacher_alone()]
    if baselines and factory.sites:
        replaced = _replaced([*systems.values(), *(tuned_parts(run, name) for name in tuned)])
        found += [factory.removed(sites) for sites in replaced]
        # Students of a former teacher may not even fit.
        own = {n: c for n, c in configs.items() if c.teacher_digest == teacher.digest}
        whole = {parts[0].bundle for parts in systems.values() if len(parts) == 1}
        for kind in dict.fromkeys(_kind(own[name]) for name in sorted(whole & systems.keys())):
            name = _medium({n: c for n, c in own.items() if _kind(c) == kind})
            found.append(factory.untrained(Chosen(name, own[name], whole=True)))
    found += [factory.student(parts) for parts in systems.values()]
    return found + [factory.tuned(name) for name in dict.fromkeys(tuned)]


class _Factory:
    """Makes the candidates of one run."""

    def __init__(self, teacher: Teacher, run: RunDir) -> None:
        self.teacher, self.run = teacher, run
        self.sites = []
        if teacher.model.config.model_type not in ATTENTION_FREE:
            self.host = host_for(teacher.model)
            self.sites = self.host.sites(teacher.model)
        self.every = Counter[str](site.group for site in self.sites)
        """How many layers the model has, by group."""

    def teacher_alone(self) -> Candidate:
        """The teacher as it is."""
        system = _system("teacher", "teacher", "Teacher", [], [])
        return Candidate(system, self.teacher.max_length, lambda: self.teacher.model)

    def removed(self, sites: list[Site]) -> Candidate:
        """The teacher without attention at some sites; none stands for all of the encoder's."""
        sites = sites or [site for site in self.sites if site.group == "encoder"]

        def build() -> PreTrainedModel:
            model = copy.deepcopy(self.teacher.model)
            for site in sites:
                remove_attention(self.host.locate(model, site))
            return model

        name, label = removed_name(sites, self.every), removed_label(sites, self.every)
        system = _system("removed", name, label, sites, [])
        return Candidate(system, self.teacher.max_length, build)

    def untrained(self, part: Chosen) -> Candidate:
        """A bundle as it was before training."""
        config = part.config

        def build() -> PreTrainedModel:
            students = build_students(config, config.seed)
            return splice(copy.deepcopy(self.teacher.model), config, students)

        label = f"{student_label([part], self.every)}, untrained"
        # As they stand in the file: fields that later versions add change no old digest.
        shapes = read_json(self.run.students / part.bundle / CONFIG)["students"]
        described = _described(part, None)
        described["shapes"] = digest_json(shapes)
        name = f"{UNTRAINED}{part.bundle}"
        system = _system("untrained", name, label, part.sites, [described])
        system["variant"] = student_variant([part], self.every)
        return Candidate(
            system,
            self._limit([part]),
            build,
            replacement=_parameters([part]),
            shapes=shapes,
            seed=config.seed,
        )

    def student(self, parts: list[Chosen]) -> Candidate:
        """Trained students."""
        digests = [bundle_digest(self.run.students / part.bundle) for part in parts]
        described = [_described(*pair) for pair in zip(parts, digests, strict=True)]
        sites = [site for part in parts for site in part.sites]
        errors = {
            str(site): value
            for part in parts
            for site in part.sites
            if (value := part.config.training.get("relative_mse", {}).get(str(site))) is not None
        }
        label = student_label(parts, self.every)
        system = _system("student", canonical(parts), label, sites, described)
        system["variant"] = student_variant(parts, self.every)
        return Candidate(
            system,
            self._limit(parts),
            lambda: load_spliced(self.teacher.model, bundle_parts(self.run, parts)),
            replacement=_parameters(parts),
            bundle=digests[0] if len(parts) == 1 and parts[0].whole else digest_json(described),
            relative_mse=errors or None,
            recipe=_shared(part.config.recipe for part in parts),
            seed=_shared(part.config.seed for part in parts),
        )

    def tuned(self, name: str) -> Candidate:
        """Students, and perhaps all of the model, or the teacher itself, tuned as a whole."""
        record = tuned_of(self.run, name, self.teacher.digest)
        parts, how = tuned_parts(self.run, name), tuned_summary(record)
        sites = [site for part in parts for site in part.sites]
        described = [_described(part, None) for part in parts]
        kind = "student" if parts else "tuned"
        label = tuned_label(parts, self.every, how)
        system = _system(kind, f"{TUNED}{name}", label, sites, described)
        variant = student_variant(parts, self.every) if parts else ""
        system["variant"] = f"{variant}, {how}" if variant else how
        device = self.teacher.model.device
        return Candidate(
            system,
            self._limit(parts),
            lambda: load_tuned(self.run, name).to(device),  # type: ignore[arg-type]
            replacement=_parameters(parts),
            bundle=record["inputs_digest"],
            seed=tuned_seed(record, parts),
        )

    def _limit(self, parts: Iterable[Chosen]) -> int:
        """Longest source sentence: what the teacher was trained on, and the students can read."""
        readers = [part.config.positions for part in parts if part.group != "decoder"]
        return min([self.teacher.max_length, *readers])


def _system(
    kind: Any, name: str, label: str, sites: Sequence[Site], parts: Sequence[Part]
) -> System:
    return {
        "kind": kind,
        "name": name,
        "label": label,
        "method": _shared(part["method"] for part in parts),
        "family": _shared(part["family"] for part in parts),
        "size": _shared(part["size"] for part in parts),
        "sites": [str(site) for site in sites],
        "variant": "",
        "groups": list(groups_of(sites)),
        "parts": list(parts),
    }


def _described(part: Chosen, digest: str | None) -> Part:
    return {
        "bundle": part.bundle,
        "method": part.config.method,
        "family": part.config.family,
        "size": part.config.size,
        "group": part.group,
        "form": part.student.form,
        "hidden_layers": part.student.hidden_layers,
        "sites": [str(site) for site in part.sites],
        "digest": digest,
    }


def _replaced(systems: Iterable[Sequence[Chosen]]) -> list[list[Site]]:
    """The sets of sites that some system replaces, smaller numbers of groups first."""
    replaced = (tuple(site for part in parts for site in part.sites) for parts in systems)
    sets = dict.fromkeys(filter(None, replaced))
    ordered = sorted(sets, key=lambda sites: [GROUPS.index(g) for g in groups_of(sites)])
    ordered.sort(key=lambda sites: len(groups_of(sites)))
    return [list(sites) for sites in ordered] or [[]]


def _kind(config: BundleConfig) -> tuple[Any, ...]:
    """What an untrained baseline stands for: method, family, sites, form, depth and weights."""
    student = next(iter(config.students.values()))
    shape = student.form, student.hidden_layers, student.spatial
    return config.method, config.family, *config.sites, *shape


def _medium(configs: dict[str, BundleConfig]) -> str:
    """The name of the bundle that stands for all of its kind."""
    order = list(SIZES)
    # Further seeds are of the same sizes.
    configs = {n: c for n, c in configs.items() if without_seed(n, c.seed) == n} or configs
    names = sorted(configs, key=lambda name: (order.index(configs[name].size), name))
    medium = [name for name in names if configs[name].size == "m"]
    return medium[0] if medium else names[len(names) // 2]


def _parameters(parts: Iterable[Chosen]) -> int:
    return sum(s.num_parameters() for part in parts for s in part.config.students.values())


def _shared(values: Iterable[T]) -> T | None:
    """The value that all have in common, or None."""
    distinct = list(dict.fromkeys(values))
    return distinct[0] if len(distinct) == 1 else None
