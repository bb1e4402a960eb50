"""attnreplace run."""

from pathlib import Path

from attnreplace.rundir import DEFAULT_RUN, run_suffix
from attnreplace_cli import console
from attnreplace_cli.options import (
    NOTHING_SAID,
    ConfigArgument,
    DataDirOption,
    DatasetOption,
    Grid,
    ModelOption,
    OverwriteOption,
    PairOption,
    PresetOption,
    PretrainedOption,
    RunOption,
    SetOption,
    TaskOption,
    configure,
    pretrained_name,
    takes_grid,
)


@takes_grid
def run(
    config: ConfigArgument = None,
    task: TaskOption = None,
    dataset: DatasetOption = None,
    data_dir: DataDirOption = None,
    pair: PairOption = None,
    preset: PresetOption = None,
    model: ModelOption = None,
    pretrained: PretrainedOption = None,
    students: Grid = NOTHING_SAID,
    directory: RunOption = DEFAULT_RUN,
    assignments: SetOption = None,
    overwrite: OverwriteOption = False,
) -> None:
    """Every stage in a row: train, extract, distill, evaluate, report; what is done is skipped.

    With --sites all, students take the place of every attention: alone, and all of them together.

    Example: attnreplace run --sites all --method alr --size m --run runs/all

    Images, a vision Transformer: attnreplace run --task image --run runs/digits
    """
    progress = console.progress()
    from attnreplace.pipeline import run_all
    from attnreplace.report.records import load_records
    from attnreplace.rundir import RunDir

    target = RunDir(directory)
    folder = None if data_dir is None else Path(data_dir).resolve()
    resolved = configure(
        target,
        {
            "data": {"task": task, "dataset": dataset, "data_dir": folder, "pair": pair},
            "teacher": {
                "preset": preset,
                "model": model,
                "pretrained": pretrained_name(pretrained),
            },
            "extract": students.extract,
            "distill": students.distill,
        },
        assignments,
        config,
        progress=progress,
    )
    report = run_all(target, resolved, overwrite=overwrite, progress=progress)
    console.show_results(load_records(target.results))
    then = [f"open {report} in a browser"]
    if resolved.data.task == "translation":
        then.append(f"attnreplace translate TEXT{run_suffix(directory)}")
    console.done("report:", report, *then)
