"""What a plan is dominated by, and what to change where it does not fit."""

from attnreplace.activations.extract import MARGIN
from attnreplace.activations.schema import readable_bytes
from attnreplace.planning.plan import Plan, Stage

LONG_HOURS = 24.0
"""From here on a plan says how to make a stage shorter."""

REASONS = {
    "products": "matrix products",
    "memory": "memory traffic",
    "calls": "the calls of many small updates",
    "disk": "the disk",
    "teacher": "the teacher's forward passes",
}

SHORTER = {
    ("train", "products"): "more devices, or a smaller teacher",
    ("train", "memory"): "more devices, or a smaller teacher",
    ("extract", "products"): "more devices (`torchrun`), or --max-train",
    ("extract", "memory"): "more devices (`torchrun`), or --max-train",
    ("extract", "disk"): "float16 instead of float32, --layers, fewer --sites, or a faster disk",
    ("distill", "products"): "smaller --size, fewer epochs, or more devices",
    ("distill", "memory"): "a larger distill.batch_tokens (fewer updates), smaller --size, or "
    "more devices",
    ("distill", "calls"): "a larger distill.batch_tokens: fewer updates",
    ("distill", "disk"): "--layers, smaller --size (fewer passes), or a faster disk",
    ("distill", "teacher"): "a store, or smaller --size: fewer passes",
}


def lacking(plan: Plan) -> list[str]:
    """What the machine has too little of: "disk", "memory"."""
    disk = sum(plan.store_bytes.values()) * MARGIN > plan.machine.disk
    memory = max(student.memory for student in plan.students) > plan.room
    return [what for what, short in (("disk", disk), ("memory", memory)) if short]


def advice(plan: Plan) -> list[str]:
    """Sentences for a person: what does not fit, and what takes the time."""
    said = []
    machine, size = plan.machine, sum(plan.store_bytes.values())
    if "disk" in lacking(plan):
        said.append(
            f"The store needs {readable_bytes(int(size * MARGIN))} and the disk has "
            f"{readable_bytes(int(machine.disk))}: {_smaller_store(plan)}."
        )
    said += _fits(plan)
    if plan.passes > 1:
        said.append(
            f"The students need {readable_bytes(sum(s.memory for s in plan.students))} and train "
            f"in {plan.passes} passes: smaller --size, --layers, more devices, or --part i/n "
            "on several machines make fewer of them."
        )
    longest = max(plan.stages, key=lambda stage: stage.seconds)
    said.append(_dominant(longest))
    if longest.seconds > LONG_HOURS * 3600:
        said.append(f"To shorten it: {SHORTER[longest.name, longest.dominant]}.")
    return said


def _smaller_store(plan: Plan) -> str:
    ways = ["--layers", "fewer --sites", "--max-train", "or `distill --online` without a store"]
    if plan.config.extract.dtype == "float32":
        ways.insert(0, "--dtype float16 (half of it)")
    return ", ".join(ways)


def _fits(plan: Plan) -> list[str]:
    """Which students are too large for a device, and what the teacher leaves."""
    if plan.room <= 0:
        return ["The teacher alone fills the memory of a device: it needs a larger one."]
    if "memory" not in lacking(plan):
        return []
    largest = max(plan.students, key=lambda student: student.memory)
    return [
        f"One student of {largest.bundle} takes {readable_bytes(largest.memory)} to train and a "
        f"device has room for {readable_bytes(int(plan.room))}: choose a smaller --size, or "
        "fewer --positions."
    ]


def _dominant(stage: Stage) -> str:
    total = sum(stage.parts.values())
    share = stage.parts[stage.dominant] / total if total else 0.0
    return (
        f"Most of the time goes to `{stage.name}`, and there to {REASONS[stage.dominant]} "
        f"({share:.0%})."
    )
