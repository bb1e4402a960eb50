"""A plan as tables of text, for the console and for Markdown."""

from collections.abc import Sequence

from attnreplace.activations.schema import readable_bytes
from attnreplace.planning.advice import REASONS, advice, lacking
from attnreplace.planning.check import Checked
from attnreplace.planning.plan import Plan

Table = tuple[list[str], list[list[str]]]
"""A header and rows."""

SMALL_FLOPS = (("P", 1e15), ("T", 1e12), ("G", 1e9), ("M", 1e6))


def stages_table(plan: Plan) -> Table:
    """One row a stage, and their sum."""
    header = ["stage", "operations", "on disk", "memory a device", "time", "mostly"]
    rows = [
        [
            stage.name,
            readable_flops(stage.flops),
            readable_bytes(sum(plan.store_bytes.values())) if stage.name == "extract" else "",
            readable_bytes(int(stage.memory)),
            readable_seconds(stage.seconds),
            REASONS[stage.dominant].partition(",")[0],
        ]
        for stage in plan.stages
    ]
    total = ["all", readable_flops(plan.flops), "", "", readable_seconds(plan.seconds), ""]
    return header, [*rows, total]


def store_table(plan: Plan) -> Table:
    """The store by group of sites."""
    rows = [[group, readable_bytes(size)] for group, size in plan.store_bytes.items()]
    return ["activations of", "on disk"], rows


def students_table(plan: Plan) -> Table:
    """One row a bundle."""
    rows = []
    for name in dict.fromkeys(student.bundle for student in plan.students):
        held = [student for student in plan.students if student.bundle == name]
        rows.append(
            [
                name,
                str(len(held)),
                f"{sum(student.parameters for student in held):,}",
                readable_bytes(sum(student.memory for student in held)),
                readable_flops(sum(student.work.flops for student in held)),
            ]
        )
    header = ["bundle", "students", "parameters", "memory to train", "operations"]
    return header, rows


def machines_table(plans: Sequence[Plan]) -> Table:
    """One row a machine, for plans of the same run."""
    names = list(dict.fromkeys(stage.name for plan in plans for stage in plan.stages))
    start = ["machine", "operations", "on disk", "passes", "memory a device"]
    header = [*start, *names, "all", "fits"]
    rows = [
        [
            plan.machine.name,
            readable_flops(plan.flops),
            readable_bytes(sum(plan.store_bytes.values())),
            str(plan.passes),
            readable_bytes(int(max(stage.memory for stage in plan.stages))),
            *(readable_seconds(stage.seconds) for stage in plan.stages),
            readable_seconds(plan.seconds),
            ", ".join(f"{what} too small" for what in lacking(plan)) or "yes",
        ]
        for plan in plans
    ]
    return header, rows


def check_table(checked: Sequence[Checked]) -> Table:
    """One row a stage, or a pass of students; `ratio` is measured over predicted."""
    header = ["stage", "students", "trained together", "predicted", "measured", "ratio"]
    rows = [
        [
            f"{check.stage} {' '.join(check.bundles)}".rstrip(),
            str(check.students) if check.bundles else "",
            str(check.together) if check.bundles else "",
            readable_seconds(check.predicted),
            readable_seconds(check.measured),
            f"{check.ratio:.2f}",
        ]
        for check in checked
    ]
    return header, rows


def summary(plan: Plan) -> list[str]:
    """What was planned, on what, from which figures."""
    corpus, machine, train = plan.corpus, plan.machine, plan.corpus.train
    held = f"{train.pairs:,} pairs to train on, {train.source:,} tokens of the source, "
    held += f"{train.target:,} of the target"
    if not train.target:
        held = f"{train.pairs:,} texts, blocks or images to train on, {train.source:,} tokens"
    return [
        f"Corpus: {corpus.name}, {held} ({corpus.origin}).",
        f"Teacher: {plan.teacher_parameters:,} parameters.",
        f"Machine: {machine.name} ({machine.origin}).",
        f"Students: {len(plan.students)}, {plan.passes} {'pass' if plan.passes == 1 else 'passes'}"
        f"{', the teacher beside them, nothing stored' if plan.config.distill.online else ''}.",
    ]


def markdown_plan(plan: Plan) -> str:
    """The whole plan as Markdown."""
    tables = [stages_table(plan), students_table(plan)]
    if len(plan.store_bytes) > 1:
        tables.insert(1, store_table(plan))
    lists = ["\n".join(f"- {line}" for line in lines) for lines in (summary(plan), advice(plan))]
    return "\n\n".join([lists[0], *(markdown_table(table) for table in tables), lists[1]]) + "\n"


def markdown_table(table: Table) -> str:
    """A table as Markdown, figures on the right."""
    header, rows = table
    line = ["---", *["---:"] * (len(header) - 1)]
    return "\n".join(f"| {' | '.join(row)} |" for row in [header, line, *rows])


def readable_flops(count: float) -> str:
    """Operations for a person: "4.2 T"."""
    for unit, size in SMALL_FLOPS:
        if count >= size:
            return (
                f"{count / size:,.3g} {unit}" if count < 1000 * size else f"{count / size:,.0f} P"
            )
    return f"{count:.0f}"


def readable_seconds(seconds: float) -> str:
    """A duration for a person, to two figures or so."""
    for unit, size in (("d", 86400.0), ("h", 3600.0), ("min", 60.0)):
        if seconds >= 2 * size:
            number = seconds / size
            return f"{number:,.0f} {unit}" if number >= 10 else f"{number:.1f} {unit}"
    return f"{seconds:.2g} s" if seconds < 10 else f"{seconds:.0f} s"
