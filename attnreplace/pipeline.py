"""All stages in a row."""

from pathlib import Path

from attnreplace.activations.extract import extract
from attnreplace.config import RunConfig
from attnreplace.distill.distill import distill
from attnreplace.evaluate.evaluate import evaluate
from attnreplace.progress import NullProgress, Progress
from attnreplace.report.report import write_report
from attnreplace.rundir import RunDir
from attnreplace.teacher.train import train


def run_all(
    run: RunDir,
    config: RunConfig,
    *,
    overwrite: bool = False,
    progress: Progress = NullProgress(),  # noqa: B008
) -> Path:
    """Train, extract, distill, evaluate and report; returns the report's path.

    A stage whose inputs are unchanged since it finished is skipped.

    Raises:
        UserError: as the stages; in particular where a stage has finished with other inputs and
            `overwrite` is False.
    """
    train(run, config.data, config.teacher, config.training, overwrite=overwrite, progress=progress)
    extract(run, config.extract, overwrite=overwrite, progress=progress)
    bundles = distill(run, config.distill, overwrite=overwrite, progress=progress)
    evaluate(run, config.evaluate, bundles, progress=progress)
    return write_report(run)
