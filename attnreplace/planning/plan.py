"""The plan of a run: what every stage takes on a machine.

Bytes of the store and parameters are exact, for they come from the same functions that write the
one and build the others. Seconds are estimates (see `work` for what they rest on).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from transformers import PreTrainedModel

from attnreplace.activations.capture import Capture
from attnreplace.activations.schema import storage_dtype
from attnreplace.activations.sites import choose_sites
from attnreplace.config import RunConfig
from attnreplace.hosts import GROUPS, Site, axis_of
from attnreplace.planning.corpora import CorpusCounts
from attnreplace.planning.machine import Machine
from attnreplace.planning.students import (
    StudentPlan,
    count_updates,
    place_students,
    plan_students,
    student_room,
)
from attnreplace.planning.teachers import of_translation
from attnreplace.planning.work import GPU_BYTES, Work, output_forward, teacher_forward


@dataclass(frozen=True)
class Stage:
    """What a stage takes; the parts of the seconds may overlap and then do not add up."""

    name: str
    flops: float
    seconds: float
    parts: dict[str, float]
    """Seconds by what takes them: "products", "memory", "calls", "disk", "teacher"."""
    memory: float
    """Bytes on each device, at the most."""

    @property
    def dominant(self) -> str:
        """What takes the most of the time."""
        return max(self.parts, key=lambda part: self.parts[part])


@dataclass(frozen=True)
class Plan:
    """All that a run takes."""

    corpus: CorpusCounts
    config: RunConfig
    machine: Machine
    teacher_parameters: int
    store_bytes: dict[str, int]
    """By group; what two groups share counts for the first. Empty where nothing is stored."""
    students: list[StudentPlan]
    placed: list[list[list[StudentPlan]]]
    """Of each device the passes, and of each pass the students that train side by side."""
    stages: list[Stage]

    @property
    def seconds(self) -> float:
        """Of all stages."""
        return sum(stage.seconds for stage in self.stages)

    @property
    def flops(self) -> float:
        """Operations of all stages."""
        return sum(stage.flops for stage in self.stages)

    @property
    def passes(self) -> int:
        """Readings of the activations, on the device that has the most."""
        return max(map(len, self.placed))

    @property
    def room(self) -> float:
        """Bytes for students on one device."""
        return student_room(self.machine, self.teacher_parameters)


def make_plan(
    config: RunConfig,
    corpus: CorpusCounts,
    model: PreTrainedModel,
    machine: Machine,
    *,
    train_teacher: bool = True,
) -> Plan:
    """Plan teacher, extraction and distillation.

    Args:
        config: what is asked for.
        corpus: how much text there is.
        model: the teacher; a model on the meta device will do.
        machine: what it runs on.
        train_teacher: whether the teacher is trained first, or is there already.

    Raises:
        UserError: the model lacks some sites, or no method works at any of them.
    """
    sites = choose_sites(model, config.extract.sites, config.extract.layers)
    store = store_bytes(model, sites, corpus, config.extract.dtype)
    positions = corpus.longest or config.extract.max_length or of_translation(config)[0].max_length
    students = plan_students(config.distill, positions, model, sites, corpus, machine)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    placed = place_students(config.distill, students, machine, parameters)
    stages = [] if not train_teacher else [_teacher_stage(config, corpus, model, machine)]
    decoder = any(site.stack == "decoder" for site in sites)
    forward = sum(
        (teacher_forward(model, split, decoder, machine.gpu) for split in corpus.splits), Work()
    )
    widths = Capture(model, sites).widths
    held = 4 * (parameters + config.extract.batch_tokens * sum(widths.values()))
    if not config.distill.online:
        stages.append(_extract_stage(forward, sum(store.values()), held, machine))
    stages.append(_distill_stage(config, corpus, model, machine, placed, forward, held))
    return Plan(
        corpus=corpus,
        config=config,
        machine=machine,
        teacher_parameters=parameters,
        store_bytes={} if config.distill.online else store,
        students=students,
        placed=placed,
        stages=stages,
    )


def store_bytes(
    model: PreTrainedModel, sites: Sequence[Site], corpus: CorpusCounts, dtype: str
) -> dict[str, int]:
    """Bytes of the store by group of sites, as `extract` states them before it writes."""
    found: dict[str, int] = {}
    seen: set[str] = set()
    for group in GROUPS:
        widths = Capture(model, [site for site in sites if site.group == group]).widths
        size = 0
        for name in widths.keys() - seen:
            rows = sum(split.of(axis_of(name)) for split in corpus.splits)
            size += rows * widths[name] * storage_dtype(dtype).itemsize
        if widths:
            found[group] = size
        seen |= widths.keys()
    return found


def autocast(precision: str, machine: Machine) -> bool:
    """Whether products are made in bfloat16."""
    return precision == "bf16" or (precision == "auto" and machine.gpu)


def _teacher_stage(
    config: RunConfig, corpus: CorpusCounts, model: PreTrainedModel, machine: Machine
) -> Stage:
    """Training the teacher: three forward passes' worth of products, and an update a batch."""
    _, training = of_translation(config)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    updates = training.epochs * count_updates(corpus.train.longer, training.batch_tokens)
    forward = teacher_forward(model, corpus.train, True, machine.gpu)
    forward += output_forward(model, corpus.train, machine.gpu)
    each = forward * (3.0 * training.epochs / machine.devices)
    # Every device updates the whole model.
    each += Work(weights=GPU_BYTES * parameters * updates)
    parts = machine.parts(each, autocast(training.precision, machine))
    logits = 3 * 4 * model.config.vocab_size * training.batch_tokens / machine.devices
    memory = 16 * parameters + logits
    flops = each.flops * machine.devices
    return Stage("train", flops, sum(parts.values()), parts, memory)


def _extract_stage(forward: Work, written: float, held: float, machine: Machine) -> Stage:
    """The teacher reads everything once, in float32, while a thread writes."""
    parts = machine.parts(forward * (1 / machine.devices), False)
    disk = written / machine.disk_bandwidth
    seconds = max(sum(parts.values()), disk)
    return Stage("extract", forward.flops, seconds, parts | {"disk": disk}, held)


def _distill_stage(
    config: RunConfig,
    corpus: CorpusCounts,
    model: PreTrainedModel,
    machine: Machine,
    placed: Sequence[Sequence[Sequence[StudentPlan]]],
    forward: Work,
    held: float,
) -> Stage:
    """All passes of the device that has the most to do.

    What devices tell each other is left out: nothing where each has students of its own, all
    gradients at every update where they share the batches.

    Args:
        forward: the teacher's part in an epoch; it counts where nothing is stored.
        held: bytes of the teacher and what it computes.
    """
    distill = config.distill
    bf16 = autocast(distill.precision, machine)
    by_data = machine.devices if distill.placement == "data" else 1
    teacher = 0.0
    if distill.online:
        teacher = machine.seconds(forward, False) * distill.epochs / by_data
    slowest: dict[str, float] = {}
    seconds = flops = fullest = 0.0
    for passes in placed:
        taken, parts = 0.0, dict.fromkeys(("products", "memory", "calls", "disk", "teacher"), 0.0)
        for students in passes:
            work = sum((student.work for student in students), Work()).on_share(by_data)
            extra = {"disk": 0.0, "teacher": teacher}
            if not distill.online:
                extra["disk"] = _reading_seconds(students, config, corpus, model, machine)
            for part, value in (machine.parts(work, bf16) | extra).items():
                parts[part] += value
            taken += machine.seconds(work, bf16) + sum(extra.values())
            flops += work.flops
            flops += forward.flops * distill.epochs / by_data if distill.online else 0.0
            # The students of a pass take their turns at every batch.
            largest = max((student.activations for student in students), default=0) / by_data
            fullest = max(fullest, sum(student.memory for student in students) + largest)
        if not slowest or taken > seconds:
            slowest, seconds = parts, taken
    kept = held if distill.online else 4.0 * sum(p.numel() for p in model.parameters())
    return Stage("distill", flops, seconds, slowest, fullest + kept)


def _reading_seconds(
    students: Sequence[StudentPlan],
    config: RunConfig,
    corpus: CorpusCounts,
    model: PreTrainedModel,
    machine: Machine,
) -> float:
    """What a pass reads of the store: every epoch anew, or once where it stays in memory.

    All devices read at the same time, from one disk.
    """
    names = {name for student in students for name in student.reads}
    widths = Capture(model, [student.site for student in students]).widths
    values = sum(corpus.train.of(axis_of(name)) * widths[name] for name in names)
    size = values * storage_dtype(config.extract.dtype).itemsize
    used = sum(student.memory for student in students)
    stays = not machine.gpu and size < machine.memory - used
    times = 1 if stays else config.distill.epochs
    return size * times * machine.devices / machine.disk_bandwidth
