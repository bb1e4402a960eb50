"""All stages in a row."""

from pathlib import Path

from attnreplace.activations.extract import extract
from attnreplace.config import RunConfig
from attnreplace.distill.distill import distill
from attnreplace.evaluate.evaluate import evaluate
from attnreplace.evaluate.specs import default_systems
from attnreplace.progress import NullProgress, Progress
from attnreplace.report.report import write_report
from attnreplace.rundir import RunDir
from attnreplace.splice.bundle import load_bundle_config
from attnreplace.teacher.train import train
from attnreplace.tune.folder import TUNED
from attnreplace.tune.tune import tune


def run_all(
    run: RunDir,
    config: RunConfig,
    *,
    overwrite: bool = False,
    progress: Progress = NullProgress(),  # noqa: B008
) -> Path:
    """Train, extract, distill, tune where a system is named, evaluate, report: the report's path.

    A stage whose inputs are unchanged since it finished is skipped. Evaluated are the systems that
    the configuration names; without any, the bundles that were asked for, alone and together.

    Raises:
        UserError: as the stages; in particular where a stage has finished with other inputs and
            `overwrite` is False.
    """
    train(run, config.data, config.teacher, config.training, overwrite=overwrite, progress=progress)
    # What has been refused so far is not noted; from here on `attnreplace run` goes on with it.
    run.update_stages(config)
    if not config.distill.online:
        extract(run, config.extract, overwrite=overwrite, progress=progress)
    bundles = distill(run, config.distill, overwrite=overwrite, progress=progress)
    made = {name: load_bundle_config(run.students / name) for name in bundles}
    systems = config.evaluate.systems or default_systems(made)
    if config.tune.system:
        folder = tune(run, config.tune, config.training, overwrite=overwrite, progress=progress)
        systems = [*systems, f"{TUNED}{folder.name}"]
    evaluate(run, config.evaluate, systems, progress=progress)
    return write_report(run)
