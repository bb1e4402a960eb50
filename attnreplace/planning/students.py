"""Which students a configuration asks for, what each takes, and how many train side by side."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from transformers import PreTrainedModel

from attnreplace.activations.sites import ALL, group_sites
from attnreplace.distill.config import DistillConfig
from attnreplace.distill.passes import MEMORY_SHARE, bytes_per_parameter, plan_passes
from attnreplace.distill.plan import shape_students, works_at
from attnreplace.distill.shares import Share
from attnreplace.errors import UserError
from attnreplace.hosts import GROUPS, Group, Location, Site, host_for
from attnreplace.methods import Method, get_method
from attnreplace.planning.corpora import CorpusCounts
from attnreplace.planning.machine import Machine
from attnreplace.planning.work import (
    MIXER_BYTES,
    Work,
    hidden_values,
    student_epoch,
    update_bytes,
)
from attnreplace.students import StudentConfig


@dataclass(frozen=True)
class StudentPlan:
    """One student: a method, a family and a size at one site."""

    bundle: str
    site: Site
    config: StudentConfig
    reads: tuple[str, ...]
    """Tensors of the store that it learns from."""
    work: Work
    """Of its whole training."""
    activations: int
    """Bytes that an update of a token mixer holds beside its weights, while it lasts; those of a
    shallow network are few, and not counted."""
    bytes_each: int
    """Bytes that a parameter takes while it is trained."""

    @property
    def parameters(self) -> int:
        """How many it has."""
        return self.config.num_parameters()

    @property
    def memory(self) -> int:
        """Bytes while it is trained."""
        return self.parameters * self.bytes_each


def plan_students(
    config: DistillConfig,
    max_length: int,
    model: PreTrainedModel,
    sites: Sequence[Site],
    corpus: CorpusCounts,
    machine: Machine,
) -> list[StudentPlan]:
    """Every student of a grid, those of a bundle next to one another.

    Args:
        max_length: positions of the students where the configuration names none.
        sites: what is stored.

    Raises:
        UserError: no method and family work at any of the sites.
    """
    methods = list(dict.fromkeys(map(get_method, config.methods)))
    positions = config.positions or max_length
    shared = config.placement == "data" and machine.devices > 1
    within = not machine.gpu and not shared
    planned = [
        student
        for group, chosen in _choose_sites(config, model, sites).items()
        for method in methods
        for family in dict.fromkeys(config.families)
        if works_at(group, config, method, family)
        for size in config.sizes
        for student in _bundle(
            config, method, family, size, positions, model, chosen, corpus, machine.gpu, within
        )
        for _ in range(config.seeds)
    ]
    if not planned:
        raise UserError(
            f"nothing to plan: {', '.join(config.methods)} does not replace attention at "
            f"{', '.join(map(str, sites))}; choose other methods, families or sites"
        )
    return planned


def place_students(
    config: DistillConfig,
    students: Sequence[StudentPlan],
    machine: Machine,
    teacher_parameters: int,
) -> list[list[list[StudentPlan]]]:
    """The passes of each device, as `distill` lays them out.

    Placed by student, every device has some of the students; placed by data, each has all of them.
    """
    sizes = {index: student.parameters for index, student in enumerate(students)}
    free = student_room(machine, teacher_parameters) / MEMORY_SHARE
    placed = []
    for device in range(machine.devices):
        own = list(sizes)
        if config.placement == "student":
            own = Share(device + 1, machine.devices).of(sizes)
        groups = plan_passes(
            {key: sizes[key] for key in own},
            free,
            most=config.max_students,
            each=lambda key: students[key].bytes_each,
        ).groups
        placed.append([[students[index] for index in group] for group in groups])
    return placed


def student_room(machine: Machine, teacher_parameters: int) -> float:
    """Bytes that `distill` fills with students on one device, the teacher lying there too."""
    return max(0.0, (machine.memory - 4 * teacher_parameters) * MEMORY_SHARE)


def _choose_sites(
    config: DistillConfig, model: PreTrainedModel, sites: Sequence[Site]
) -> dict[Group, list[Site]]:
    """Of the stored sites those that are distilled, by group."""
    chosen = {}
    for group in GROUPS:
        wanted = not config.sites or group in config.sites or ALL in config.sites
        stored = [site for site in sites if site.group == group]
        if wanted and stored:
            layers = group_sites(model, group, config.layers)
            chosen[group] = [site for site in stored if site in layers]
    return chosen


def _bundle(
    config: DistillConfig,
    method: Method,
    family: str,
    size: str,
    positions: int,
    model: PreTrainedModel,
    sites: Sequence[Site],
    corpus: CorpusCounts,
    gpu: bool,
    within: bool,
) -> Iterator[StudentPlan]:
    name, shapes = shape_students(config, method, family, size, model, sites, positions)
    updates = count_updates(corpus.train.longer, config.batch_tokens)
    for site in sites:
        location, shape = host_for(model).locate(model, site), shapes[str(site)]
        moved = update_bytes(shape, gpu, within)
        epoch = student_epoch(shape, corpus.train, corpus.validation, location.axis, updates, moved)
        held = 0
        if family != "shallow_ff":
            held = MIXER_BYTES * config.batch_tokens * hidden_values(shape)
        reads, each = _reads(method, location), bytes_per_parameter(shape, within)
        yield StudentPlan(name, site, shape, reads, epoch * config.epochs, held, each)


def _reads(method: Method, location: Location) -> tuple[str, ...]:
    names = location.tensor_names
    roles = [*method.roles, *(["memory"] if "memory" in names else [])]
    return tuple(dict.fromkeys(names[role] for role in roles))


def count_updates(tokens: int, batch_tokens: int) -> int:
    """Batches in an epoch; `tokens` are those of the longer sides."""
    return max(1, math.ceil(tokens / batch_tokens))
