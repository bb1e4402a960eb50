"""The plan held against what was measured: predicted and real seconds of finished stages."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from attnreplace.activations.store import ActivationStore
from attnreplace.errors import UserError
from attnreplace.hosts import Site
from attnreplace.planning.corpora import SplitCounts, run_counts, store_counts
from attnreplace.planning.machine import Machine
from attnreplace.planning.plan import make_plan
from attnreplace.planning.students import count_updates
from attnreplace.planning.teachers import empty_copy
from attnreplace.planning.work import Work, student_epoch, update_bytes
from attnreplace.rundir import RunDir, read_json
from attnreplace.splice.bundle import BundleConfig, load_bundle_config
from attnreplace.teacher.build import TeacherConfig


@dataclass(frozen=True)
class Checked:
    """A stage; of `distill` the students that were trained together."""

    stage: str
    bundles: list[str]
    """Of `distill`."""
    predicted: float
    """Seconds of all of `students`, without reading the store, or of the stage."""
    measured: float
    """Seconds that the record says, of all of `together`, or of the stage."""
    students: int = 1
    """Of those bundles; 1 in other stages."""
    together: int = 1
    """Students that the record says were trained in one pass; more than `students` where some of
    their bundles are gone, and fewer where the bundles took several passes."""

    @property
    def ratio(self) -> float:
        """Measured seconds over predicted ones, of `distill` a student."""
        return (self.measured / self.together) / (self.predicted / self.students)


def check_run(run: RunDir, machine: Machine) -> list[Checked]:
    """Compare the seconds in the records of a run with those of the plan.

    Bundles of one pass have one figure between them, so that they are compared together. What the
    plan leaves out is left out of the measured seconds, too: validation in training, start-up.

    Raises:
        UserError: the run has no such records.
    """
    checked = [*_teacher_stages(run, machine), *_students(run, machine)]
    if not checked:
        raise UserError(
            f"{run.path} has no finished stage with a record of its seconds; run `attnreplace "
            "train` or `attnreplace distill` first"
        )
    return checked


def _teacher_stages(run: RunDir, machine: Machine) -> Iterator[Checked]:
    """Training and extraction, as far as their records have seconds."""
    record, config = run.teacher / "training.json", run.config()
    measured = {}
    if record.is_file() and isinstance(config.teacher, TeacherConfig):
        trained = read_json(record, dict)
        measured["train"] = trained.get("update_seconds", 0.0)
        epochs = len(trained.get("history", [])) or config.training.epochs
        config = replace(config, training=replace(config.training, epochs=epochs))
    if run.activations.is_file():
        measured["extract"] = ActivationStore.open(run.activations).manifest.seconds
    if not any(measured.values()):
        return
    corpus = run_counts(run)
    train = "train" in measured
    plan = make_plan(config, corpus, empty_copy(run.teacher), machine, train_teacher=train)
    for stage in plan.stages:
        if seconds := measured.get(stage.name):
            yield Checked(stage.name, [], stage.seconds, seconds)


def _students(run: RunDir, machine: Machine) -> Iterator[Checked]:
    bundles = [load_bundle_config(run.students / name) for name in run.bundles()]
    passes: dict[tuple[str, float, int], list[BundleConfig]] = {}
    for bundle in bundles:
        record = bundle.training
        if record.get("seconds") and record.get("students_in_pass"):
            key = (record["inputs_digest"], record["seconds"], record["students_in_pass"])
            passes.setdefault(key, []).append(bundle)
    for (_, measured, together), group in passes.items():
        yield _checked(run, group, measured, together, machine)


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
            # By data, its processes share batches; how many there were the record does not say.
            moved = update_bytes(shape, on_gpu, settings.get("placement") != "data")
            epoch = student_epoch(shape, train, validation, axis, updates, moved)
            work, students = work + epoch * settings["epochs"], students + 1
    bf16 = settings["precision"] == "bf16" or (settings["precision"] == "auto" and on_gpu)
    return Checked(
        stage="distill",
        bundles=[bundle.name for bundle in bundles],
        predicted=machine.seconds(work, bf16),
        measured=measured,
        students=students,
        together=together,
    )


def _splits(run: RunDir, bundle: BundleConfig) -> tuple[SplitCounts, SplitCounts]:
    """Of the store; without one, the record's tokens stand for both sides."""
    try:
        corpus = store_counts(ActivationStore.open(run.activations), "")
        return corpus.splits
    except UserError:
        pairs, tokens = bundle.training["sentences"], bundle.training["tokens"]
        return SplitCounts(pairs, tokens, tokens, tokens), SplitCounts(0, 0, 0, 0)
