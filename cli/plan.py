"""attnreplace plan."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from attnreplace.errors import UserError
from attnreplace_cli import console
from attnreplace_cli.options import (
    ANY_FIELD,
    NOTHING_SAID,
    ConfigArgument,
    DataDirOption,
    Grid,
    PairOption,
    configure,
    takes_grid,
    words,
)

if TYPE_CHECKING:
    from attnreplace.config import RunConfig
    from attnreplace.planning.machine import Machine
    from attnreplace.planning.plan import Plan
    from attnreplace.planning.tables import Table


@takes_grid
def plan(
    config: ConfigArgument = None,
    run: Annotated[
        Path | None, typer.Option("--run", help="A run: its corpus, teacher and settings.")
    ] = None,
    corpus: Annotated[
        str | None, typer.Option(help="A well-known corpus: multi30k, iwslt2017 or wmt14.")
    ] = None,
    data_dir: DataDirOption = None,
    pair: PairOption = None,
    teacher: Annotated[
        str | None, typer.Option(help="tiny, paper, base; or trained ones: 1b, 3b.")
    ] = None,
    students: Grid = NOTHING_SAID,
    machine: Annotated[
        str,
        typer.Option(help="two-cores, a100, h100, 8xa100; several with commas are compared."),
    ] = "two-cores",
    measure: Annotated[
        bool, typer.Option("--measure", help="Measure this machine, in some seconds.")
    ] = False,
    check: Annotated[
        Path | None,
        typer.Option(help="A finished run: its measured seconds beside those of a plan."),
    ] = None,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print Markdown.")] = False,
    assignments: Annotated[
        list[str] | None, typer.Option("--set", metavar="SECTION.FIELD=VALUE", help=ANY_FIELD)
    ] = None,
) -> None:
    """Say what a run will take, before it is started: bytes, operations, memory, hours.

    Example: attnreplace plan --corpus iwslt2017 --teacher paper --sites all --method alr --size m
    """
    progress = console.progress()
    from attnreplace.planning.machine import get_machine, measure_machine
    from attnreplace.planning.tables import check_table, machines_table
    from attnreplace.rundir import RunDir

    here = next((path for path in (check, run) if path and path.is_dir()), Path.cwd())
    machines = [measure_machine(here)] if measure else list(map(get_machine, words(machine) or []))
    on = machines[0]
    if check is not None:
        from attnreplace.planning.check import check_run

        _show_table(check_table(check_run(RunDir(check), on)), markdown)
        _say(f"machine: {on.name} ({_rates(on)}; {on.origin})")
        return
    if run is not None and (corpus or data_dir or teacher or config):
        raise UserError(
            "--run names a corpus and a teacher already; leave out the file, --corpus, --data-dir "
            "and --teacher"
        )
    options = {
        "data": {"dataset": corpus, "data_dir": data_dir, "pair": pair},
        "extract": students.extract,
        "distill": students.distill,
    }
    # Without a run the base are the defaults: what this path has not got is a configuration.
    base = RunDir(run or Path(os.devnull))
    if run is not None and not base.config_path.is_file():
        raise UserError(
            f"there is no run in {run}: it has no {base.config_path.name}; "
            "run `attnreplace train` first"
        )
    resolved = configure(base, options, assignments, config, progress=progress)
    plans = [_plan(resolved, run, teacher, each) for each in machines]
    if len(plans) > 1:
        _show_table(machines_table(plans), markdown)
        return
    _show(plans[0], markdown)
    if measure:
        _say(f"Measured: {_rates(on)}.")


def _plan(
    config: "RunConfig",
    run: Path | None,
    teacher: str | None,
    machine: "Machine",
) -> "Plan":
    import dataclasses

    from attnreplace.planning.corpora import config_counts, run_counts
    from attnreplace.planning.plan import make_plan
    from attnreplace.planning.teachers import (
        HOSTS,
        empty_copy,
        empty_model,
        of_translation,
        teacher_shape,
    )
    from attnreplace.rundir import RunDir
    from attnreplace.teacher.config import TRAINING_PRESETS, TrainingConfig

    if teacher is not None:
        training = TrainingConfig(**TRAINING_PRESETS.get(teacher, {}))
        config = dataclasses.replace(config, teacher=teacher_shape(teacher), training=training)
    trained = teacher in HOSTS
    if run is not None:
        counts = run_counts(RunDir(run))
        trained = RunDir(run).teacher.is_dir()
    else:
        counts = config_counts(config)
    model = (
        empty_copy(RunDir(run).teacher)
        if run and trained
        else empty_model(of_translation(config)[0])
    )
    return make_plan(config, counts, model, machine, train_teacher=not trained)


def _show(made: "Plan", markdown: bool) -> None:
    from attnreplace.planning.advice import advice
    from attnreplace.planning.tables import (
        markdown_plan,
        stages_table,
        store_table,
        students_table,
        summary,
    )

    if markdown:
        typer.echo(markdown_plan(made), nl=False)
        return
    for line in summary(made):
        _say(line)
    _show_table(stages_table(made), markdown)
    if len(made.store_bytes) > 1:
        _show_table(store_table(made), markdown)
    _show_table(students_table(made), markdown)
    for line in advice(made):
        _say(line)


def _show_table(table: "Table", markdown: bool) -> None:
    from attnreplace.planning.tables import markdown_table

    if markdown:
        typer.echo(markdown_table(table) + "\n")
    else:
        console.show_table(*table)


def _rates(machine: "Machine") -> str:
    return (
        f"{machine.fp32_flops / 1e9:,.0f} G operations a second in float32, "
        f"{machine.bf16_flops / 1e9:,.0f} G in bfloat16, memory "
        f"{machine.memory_bandwidth / 1e9:.3g} GB/s, disk {machine.disk_bandwidth / 1e9:.3g} GB/s, "
        f"{machine.call_seconds * 1e3:.2g} ms an update"
    )


def _say(line: str) -> None:
    console.out.print(line, markup=False, highlight=False, soft_wrap=True)
