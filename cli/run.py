"""attnreplace run."""

from pathlib import Path

from attnreplace_cli import console
from attnreplace_cli.options import (
    DEFAULT_RUN,
    ConfigArgument,
    DataDirOption,
    DatasetOption,
    MethodOption,
    OverwriteOption,
    PairOption,
    PresetOption,
    RunOption,
    SetOption,
    SizeOption,
    configure,
    methods,
    sizes,
)


def run(
    config: ConfigArgument = None,
    dataset: DatasetOption = None,
    data_dir: DataDirOption = None,
    pair: PairOption = None,
    preset: PresetOption = None,
    method: MethodOption = None,
    size: SizeOption = None,
    directory: RunOption = DEFAULT_RUN,
    assignments: SetOption = None,
    overwrite: OverwriteOption = False,
) -> None:
    """Every stage in a row: train, extract, distill, evaluate, report; what is done is skipped.

    Example: attnreplace run experiments/multi30k-de-en.toml --run runs/multi30k
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
            "data": {"dataset": dataset, "data_dir": folder, "pair": pair},
            "teacher": {"preset": preset},
            "distill": {"methods": methods(method), "sizes": sizes(size)},
        },
        assignments,
        config,
    )
    report = run_all(target, resolved, overwrite=overwrite, progress=progress)
    console.show_results(load_records(target.results))
    console.done("report:", report, f"open {report} in a browser, or `attnreplace translate TEXT`")
