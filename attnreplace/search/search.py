"""The stage `search`: the cheapest students that lose little enough, site by site."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

import torch

from attnreplace.data.corpora import AnyCorpus
from attnreplace.errors import UserError
from attnreplace.evaluate.cost import NEW_TOKENS, device_name
from attnreplace.evaluate.evaluate import device_named
from attnreplace.evaluate.forced import forced_learner
from attnreplace.evaluate.specs import choose
from attnreplace.hosts import Site
from attnreplace.locks import only_one
from attnreplace.progress import NullProgress, Progress
from attnreplace.rundir import RunDir, write_json
from attnreplace.search.assignments import Assignments
from attnreplace.search.bundles import bundles_to_choose_from, remade_by
from attnreplace.search.choose import Point, frontier, walk
from attnreplace.search.config import SearchConfig
from attnreplace.search.cost import student_costs, whole_cost
from attnreplace.search.outcome import (
    SCHEMA,
    Assignment,
    Outcome,
    Verified,
    outcome_path,
    spread,
)
from attnreplace.search.scores import Scores, StudentScore
from attnreplace.search.scoring import score_students
from attnreplace.search.verify import Verifier, require_predictions
from attnreplace.splice.bundle import BundleConfig, bundle_digest, load_bundle
from attnreplace.tasks import get_task
from attnreplace.teacher.config import EncoderTrainingConfig
from attnreplace.teacher.files import write_model
from attnreplace.teacher.learners.base import Learner
from attnreplace.teacher.load import Teacher, load_teacher
from attnreplace.versions import versions


def search(
    run: RunDir,
    config: SearchConfig,
    *,
    remeasure: bool = False,
    progress: Progress = NullProgress(),  # noqa: B008
) -> Outcome:
    """Choose a student, or the attention as it was, for every site of the teacher.

    Every student is scored once, alone in the teacher, by how far it takes the predictions from the
    teacher's, and what it costs is measured. The sums of both are what assignments of students to
    sites are expected to do; along those that no other assignment beats, real models are built and
    scored until the cheapest within what is allowed is found. Scores are kept: a killed search goes
    on, and another one begins with them.

    Args:
        run: holds the teacher and the bundles.
        config: what is allowed, and what is to be cheap.
        remeasure: measure anew what was measured before of this cost.

    Returns:
        What was found. It is written to `run.search` with, where a system was chosen, the spliced
        model whole, as `load_spliced_pretrained` reads it, and the run's configuration with its
        students to distill and that system to evaluate.

    Raises:
        UserError: no teacher, or one without a head; no bundles to choose from; a cost that the
            teacher has not; no validation data; another process at work on the same.
    """
    teacher = load_teacher(run.teacher)
    corpus = run.corpus()
    teacher.require_corpus(corpus)
    require_predictions(teacher)
    if config.minimise == "state" and not teacher.model.config.is_encoder_decoder:
        raise UserError(
            "state is what a decoder keeps from step to step, and this teacher has none; "
            "minimise params or latency"
        )
    if not len(corpus.validation):
        raise UserError(f"the corpus {corpus.name} has no validation data to score students on")
    every, bundles = bundles_to_choose_from(run, teacher, config, progress)
    with only_one(run.search / "search.lock", f"searching in {run.path}"):
        return _Search(run, config, teacher, corpus, every, bundles, progress).execute(remeasure)


@dataclass
class _Search:
    run: RunDir
    config: SearchConfig
    teacher: Teacher
    corpus: AnyCorpus
    every: Mapping[str, BundleConfig]
    """All bundles of the teacher: the shortest of their positions are those of all searches."""
    bundles: Mapping[str, BundleConfig]
    """Those to choose from."""
    progress: Progress
    verifier: Verifier = field(init=False)

    def execute(self, remeasure: bool) -> Outcome:
        """Measure, choose, write."""
        evaluation, model = self.run.config().evaluate, self.teacher.model
        model.to(device_named(evaluation.device))  # type: ignore[arg-type]
        digests = {name: bundle_digest(self.run.students / name) for name in self.bundles}
        path = self.run.search / f"scores.{self.config.sentences}.json"
        scores = Scores(path, self._of())
        entries = scores.of_bundles(self.bundles, digests)
        self.verifier = Verifier(
            self.run, self.teacher, self.sample, evaluation, scores, self.progress
        )
        self._measure(scores, entries, remeasure)
        score_students(
            model,
            self._learner(),
            self.bundles,
            self.run.students,
            scores,
            entries,
            self.progress,
        )
        for entry in entries:
            if not entry.usable:
                where = f"{entry.bundle} is left out at {entry.site}"
                self.progress.note(f"{where}: with it the model gives no numbers")
        known = Assignments(model, self.bundles, entries, self.config.minimise)
        points, teachers = frontier(known.options()), self.verifier.score("")
        verified: dict[Point, Verified] = {}

        def within(point: Point) -> bool:
            verified[point] = self._verify(known.of_point(point), teachers)
            return verified[point]["within"]

        chosen = verified.get(walk(points, within, self.config.verify))
        outcome: Outcome = {
            "schema": SCHEMA,
            "minimise": self.config.minimise,
            "max_drop": self.config.max_drop,
            "metric": self.verifier.metric,
            "sentences": len(self.sample.validation),
            "sites": len(known.sites),
            "teacher": {"score": teachers, "cost": self._whole("")},
            "frontier": spread([(point.cost, point.divergence) for point in points]),
            "verified": list(verified.values()),
            "alone": known.alone(),
            "chosen": chosen,
            "chosen_cost": self._whole(chosen["system"]) if chosen else None,
            "source_tokens": self.lengths[0],
            "new_tokens": self.lengths[1],
            "device": device_name(model.device),
            "threads": torch.get_num_threads(),
            "bundles": digests,
            "teacher_digest": self.teacher.digest,
            "versions": versions(),
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        self._write(outcome)
        return outcome

    @cached_property
    def sample(self) -> Any:
        """The corpus with the validation data that are read."""
        head = self.corpus.validation.head(self.config.sentences)
        return replace(self.corpus, validation=head)  # type: ignore[arg-type]

    @property
    def limit(self) -> int:
        """Most tokens that the teacher and all students read."""
        positions = [bundle.positions for bundle in self.every.values()]
        return min([self.teacher.max_length, *positions])

    @property
    def lengths(self) -> tuple[int, int]:
        """Tokens of the text on which costs are measured, and of its translation."""
        return min(self.verifier.scorer.mean_tokens, self.limit), min(NEW_TOKENS, self.limit)

    @cached_property
    def _training(self) -> Any:
        """How large batches are; nothing is drawn."""
        training = replace(self.run.config().training, seed=0, label_smoothing=0.0)
        if isinstance(training, EncoderTrainingConfig):
            return replace(training, augment="none", mixup=0.0)
        return training

    def _learner(self) -> Learner:
        """What the task learns, with the validation data to learn from."""
        data = self.sample.validation
        try:
            learner = forced_learner(self.teacher, self.sample, data, self.limit, self._training)
        except UserError as error:
            raise UserError(f"no validation data that all students can read: {error}") from error
        if count := getattr(learner, "dropped", 0):
            self.progress.note(
                f"{count} of {len(data)} validation pairs are over the {self.limit} tokens "
                "that all students read, and are only translated"
            )
        return learner

    def _of(self) -> dict[str, Any]:
        """What decides the divergences besides the students."""
        training = self._training
        return {
            "teacher": self.teacher.digest,
            "tokenizer": self.teacher.tokenizer_digest,
            "data": self.corpus.digest,
            "sentences": self.config.sentences,
            "limit": self.limit,
            "batch": getattr(training, "batch_tokens", None) or training.batch_size,
        }

    def _measure(self, scores: Scores, entries: list[StudentScore], remeasure: bool) -> None:
        """Fill in the costs that are missing."""
        model, what = self.teacher.model, self.config.minimise
        machine = {"device": device_name(model.device), "threads": torch.get_num_threads()}
        if scores.measured_on != machine:
            scores.forget("latency")
        if remeasure:
            scores.forget(what)
        scores.measured_on = machine
        missing = [entry for entry in entries if what not in entry.costs]
        with self.progress.task(f"{what} of students", len(missing)) as task:
            for name in dict.fromkeys(entry.bundle for entry in missing):
                config, students = load_bundle(self.run.students / name)
                costs = student_costs(model, config.method, students, what, *self.lengths)
                for entry in missing:
                    if entry.bundle == name:
                        entry.costs[what] = costs[Site.parse(entry.site)]
                        task.advance(1)
                scores.save()

    def _verify(self, assignment: Assignment, teachers: float) -> Verified:
        """Build it and score it."""
        score = self.verifier.score(assignment["system"])
        better = get_task(self.corpus.task).metric.higher_is_better
        drop = teachers - score if better else score - teachers
        return {**assignment, "score": score, "drop": drop, "within": drop <= self.config.max_drop}

    def _whole(self, system: str) -> int:
        model = self.verifier.model(system)
        return whole_cost(model, self.config.minimise, *self.lengths)

    def _write(self, outcome: Outcome) -> None:
        """The outcome last, with a former one out of the way: what it says is there."""
        path, chosen = outcome_path(self.run, self.config.minimise), outcome["chosen"]
        folder, toml = path.with_suffix(""), path.with_suffix(".toml")
        temporary, former = path.with_suffix(".tmp"), path.with_suffix(".old")
        path.unlink(missing_ok=True)
        if chosen is None:
            for leftover in (folder, temporary, former):
                shutil.rmtree(leftover, ignore_errors=True)
            toml.unlink(missing_ok=True)
        else:
            record = {key: outcome[key] for key in ("schema", "teacher_digest", "bundles")}
            reader = self.teacher.tokenizer or self.teacher.image_processor
            model = self.verifier.model(chosen["system"])
            write_model(temporary, folder, former, model, reader, record | chosen)
            config = self.run.config()
            used = [self.bundles[part.bundle] for part in choose(chosen["system"], self.bundles)]
            replace(
                config,
                distill=remade_by(used, config.distill),
                evaluate=replace(config.evaluate, systems=[chosen["system"]]),
            ).save(toml)
        write_json(path, outcome)
