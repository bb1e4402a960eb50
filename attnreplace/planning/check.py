"""The plan held against what was measured: predicted and real seconds of finished students."""

from collections.abc import Sequence
from dataclasses import dataclass

from attnreplace.activations.store import ActivationStore
from attnreplace.errors import UserError
from attnreplace.hosts import Site
from attnreplace.planning.corpora import SplitCounts, store_counts
from attnreplace.planning.machine import Machine
from attnreplace.planning.students import count_updates
from attnreplace.planning.work import Work, student_epoch
from attnreplace.rundir import RunDir
from attnreplace.splice.bundle import BundleConfig, load_bundle_config


@dataclass(frozen=True)
class Checked:
    """Students that were trained together."""

    bundles: list[str]
    students: int
    """Of those bundles."""
    together: int
    """Students that the record says were trained in one pass; more than `students` where some of
    their bundles are gone, and fewer where the bundles took several passes."""
    parameters: int
    predicted: float
    """Seconds of all of `students`, without reading the store."""
    measured: float
    """Seconds that the record says, of all of `together`."""

    @property
    def ratio(self) -> float:
        """Measured seconds over predicted ones, a student."""
        return (self.measured / self.together) / (self.predicted / self.students)


def check_run(run: RunDir, machine: Machine) -> list[Checked]:
    """Compare the seconds in the records of a run's bundles with those of the plan.

    Bundles of one pass have one figure between them, so that they are compared together.

    Raises:
        UserError: the run has no bundles with such a record.
    """
    bundles = [load_bundle_config(run.students / name) for name in run.bundles()]
    passes: dict[tuple[str, float, int], list[BundleConfig]] = {}
    for bundle in bundles:
        record = bundle.training
        if record.get("seconds") and record.get("students_in_pass"):
            key = (record["inputs_digest"], record["seconds"], record["students_in_pass"])
            passes.setdefault(key, []).append(bundle)
    if not passes:
        raise UserError(f"{run.path} has no finished students; run `attnreplace distill` first")
    return [
        _checked(run, group, measured, together, machine)
        for (_, measured, together), group in passes.items()
    ]


def _checked(
    run: RunDir,
    bundles: Sequence[BundleConfig],
    measured: float,
    together: int,
    machine: Machine,
) -> Checked:
    train, validation = _splits(run, bundles[0])
    settings, on_gpu = bundles[0].training["settings"], bundles[0].training["device"] != "cpu"
    updates = count_updates(train.longer, settings["batch_tokens"])
    work, students = Work(), 0
    for bundle in bundles:
        for site, shape in bundle.students.items():
            axis = "source" if Site.parse(site).stack == "encoder" else "target"
            epoch = student_epoch(shape, train, validation, axis, updates)
            work, students = work + epoch * settings["epochs"], students + 1
    bf16 = settings["precision"] == "bf16" or (settings["precision"] == "auto" and on_gpu)
    return Checked(
        bundles=[bundle.name for bundle in bundles],
        students=students,
        together=together,
        parameters=sum(s.num_parameters() for b in bundles for s in b.students.values()),
        predicted=machine.seconds(work, bf16),
        measured=measured,
    )


def _splits(run: RunDir, bundle: BundleConfig) -> tuple[SplitCounts, SplitCounts]:
    """Of the store; without one, the record's tokens stand for both sides."""
    try:
        corpus = store_counts(ActivationStore.open(run.activations), "")
        return corpus.splits
    except UserError:
        pairs, tokens = bundle.training["sentences"], bundle.training["tokens"]
        return SplitCounts(pairs, tokens, tokens, tokens), SplitCounts(0, 0, 0, 0)
