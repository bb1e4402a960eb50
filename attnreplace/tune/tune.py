"""The stage `tune`: training a spliced model as a whole."""

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from attnreplace.checkpoint import load_state
from attnreplace.data.corpora import AnyCorpus
from attnreplace.data.corpus import Corpus
from attnreplace.digest import differing, digest_json
from attnreplace.distill.team import Team
from attnreplace.errors import UserError
from attnreplace.evaluate.scorers.classification import class_columns
from attnreplace.evaluate.specs import Chosen
from attnreplace.files import discard
from attnreplace.locks import only_one
from attnreplace.precision import resolved_precision
from attnreplace.progress import NullProgress, Progress
from attnreplace.rundir import RunDir, read_json
from attnreplace.tasks import Task, get_task
from attnreplace.teacher.config import BaseTraining
from attnreplace.teacher.files import write_model
from attnreplace.teacher.load import Teacher, load_teacher
from attnreplace.teacher.loop import TrainingLoop
from attnreplace.teacher.pretrained_config import PretrainedConfig
from attnreplace.tune.config import TuneConfig
from attnreplace.tune.folder import RECORD, SCHEMA
from attnreplace.tune.learner import TuningLearner
from attnreplace.tune.lora import require_peft
from attnreplace.tune.start import Start
from attnreplace.tune.targets import with_own_translations
from attnreplace.versions import versions

OF_BATCHES = ("batch_tokens", "batch_size", "validation_sentences", "augment", "mixup")
"""Fields of `[training]` that say what is learnt from."""
NO_MATTER = ("name", "system", "checkpoint_minutes")
"""Fields that do not change what comes out, or that count in other words."""


def tune(
    run: RunDir,
    config: TuneConfig,
    training: BaseTraining | None = None,
    *,
    overwrite: bool = False,
    progress: Progress = NullProgress(),  # noqa: B008
) -> Path:
    """Train a spliced model as a whole into `run.tuned`, and keep the best epoch.

    The epoch is chosen by the task's validation score. An interrupted training goes on from its
    checkpoint and ends with the same weights; under `accelerate launch` every batch is shared
    between the processes. A finished one of the same settings is kept.

    Args:
        training: says how large batches are; None: the run's own.

    Returns:
        The folder, which `load_spliced_pretrained` reads.

    Raises:
        UserError: no teacher, bundles or tuned model to start from, one of another teacher, or a
            teacher without a head or of other classes than the corpus; an order of other groups
            than the system has; a model of that name, finished or begun, of other settings while
            `overwrite` is False; another process at work on it; or no peft for adapters.
    """
    teacher = load_teacher(run.teacher)
    corpus = run.corpus()
    teacher.require_corpus(corpus)
    start = Start.of(run, teacher, config)
    team = Team.launched()
    _check(teacher, corpus, config, start.parts)
    batches = training or run.config().training
    work = _Tuning(run, config, batches, teacher, corpus, start, team, progress)
    alone = only_one(work.path("lock"), f"tuning {work.name} in {run.path}")
    with alone if team.leads else nullcontext():
        return work.execute(overwrite)


def _check(
    teacher: Teacher, corpus: AnyCorpus, config: TuneConfig, parts: Sequence[Chosen]
) -> None:
    if config.train == "lora":
        require_peft()
    model, classes = teacher.model, getattr(corpus, "classes", None)
    if model.base_model is model:
        raise UserError(
            f"the teacher in {teacher.path} has no head, so that nothing is predicted that could "
            "be learnt; its students can be distilled, not tuned"
        )
    if classes and class_columns(model, classes) != list(range(len(classes))):
        raise UserError(
            f"the teacher in {teacher.path} has its classes in another order than the corpus; "
            "fine-tune it with `attnreplace train --pretrained` first"
        )
    groups = dict.fromkeys(part.group for part in parts)
    if config.order and set(config.order) != groups.keys():
        raise UserError(
            f"tune.order is {', '.join(config.order)}, the system replaces {', '.join(groups)}; "
            "name each of these once"
        )


@dataclass
class _Tuning:
    run: RunDir
    config: TuneConfig
    batches: BaseTraining
    teacher: Teacher
    corpus: AnyCorpus
    start: Start
    team: Team
    progress: Progress

    @property
    def name(self) -> str:
        """Of the folder."""
        return self.config.name or self.start.name

    @property
    def folder(self) -> Path:
        """Of the tuned model."""
        return self.run.tuned / self.name

    def path(self, what: str) -> Path:
        """A file of this tuning beside the others."""
        return self.run.path / f"tune.{self.name}.{what}"

    def execute(self, overwrite: bool) -> Path:
        """Train, unless it is done."""
        inputs, checkpoint = self._inputs(), self.path("checkpoint.safetensors")
        record = self.folder / RECORD
        if record.is_file() and read_json(record).get("inputs_digest") == inputs:
            discard(checkpoint)
            self.progress.note(f"{self.folder} is finished: nothing to do")
            return self.folder
        begun = checkpoint.exists() and load_state(checkpoint)["inputs_digest"] != inputs
        if (self.folder.exists() or begun) and not overwrite:
            there = read_json(record, dict).get("config", {}) if record.is_file() else {}
            differences = differing(there, asdict(self.config))
            raise UserError(
                f"{self.folder if self.folder.exists() else checkpoint} is of other settings"
                f"{differences}; add --overwrite to replace it, or choose another --name"
            )
        task = get_task(self.corpus.task)
        learner = self._learner(task)
        loop = TrainingLoop(
            learner,
            task.metric,
            self.config,
            checkpoint,
            inputs,
            self.progress,
            what=self.name,
        )
        loop.execute()
        if self.team.leads:
            learner.finish()
            self._write(loop, inputs)
            discard(checkpoint)
        self.team.meet()
        return self.folder

    @property
    def _training(self) -> BaseTraining:
        """The teacher's batches and validation with the seed and smoothing of this training."""
        config = self.config
        return replace(self.batches, seed=config.seed, label_smoothing=config.label_smoothing)

    @property
    def _max_length(self) -> int:
        """The longest that the teacher and all students can read."""
        return min([self.teacher.max_length, *(part.config.positions for part in self.start.parts)])

    def _learner(self, task: Task) -> TuningLearner:
        corpus = self.corpus
        if self.config.targets == "teacher":
            if not isinstance(corpus, Corpus):
                raise UserError(f"tune.targets = teacher is for translation, not for {corpus.task}")
            corpus = with_own_translations(
                self.run, self.teacher, corpus, self.config.target_beam, self.team, self.progress
            )
        shape = PretrainedConfig(str(self.run.teacher), max_length=self._max_length)
        learner = task.learner(corpus, shape, self._training)
        return TuningLearner(learner, self.teacher.model, self.start.build, self.config)

    def _inputs(self) -> str:
        """Digest of all that decides what comes out."""
        config = asdict(self.config)
        settings = {name: value for name, value in config.items() if name not in NO_MATTER}
        if self.config.train != "lora":
            settings = {name: v for name, v in settings.items() if not name.startswith("lora_")}
        settings["precision"] = resolved_precision(self.config.precision, self.team.device)
        training = asdict(self._training)
        return digest_json(
            {
                "teacher": self.teacher.digest,
                "tokenizer": self.teacher.tokenizer_digest,
                "data": self.corpus.digest,
                "parts": list(map(list, self.start.digests.items())),
                "tune": settings,
                "max_length": self._max_length,
                "batches": {name: training.get(name) for name in OF_BATCHES},
            }
        )

    def _write(self, loop: TrainingLoop, inputs: str) -> None:
        record = {
            "schema": SCHEMA,
            "inputs_digest": inputs,
            **self.start.record,
            "teacher_digest": self.teacher.digest,
            "config": asdict(self.config),
            "versions": versions(),
            **loop.record(),
        }
        # Not in `tuned`: what a kill leaves half-done must not pass for a model.
        temporary, former = self.path("tmp"), self.path("old")
        write_model(temporary, self.folder, former, loop.model, None, record)
