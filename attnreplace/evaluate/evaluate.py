"""The evaluation stage: every system on every test set, one record each."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

import torch
from transformers import PreTrainedModel

from attnreplace.data.corpora import AnyCorpus
from attnreplace.digest import digest_json
from attnreplace.errors import UserError
from attnreplace.evaluate.config import EvalConfig
from attnreplace.evaluate.cost import measure_cost
from attnreplace.evaluate.record import (
    SCHEMA,
    Cost,
    Digests,
    Record,
    finished,
    record_path,
    write_record,
)
from attnreplace.evaluate.scorers import Scorer, Setup, scorers_for
from attnreplace.evaluate.significance import compare_with_teacher
from attnreplace.evaluate.specs import default_systems
from attnreplace.evaluate.stale import digests_of, discard_stale
from attnreplace.evaluate.systems import Candidate, candidates
from attnreplace.progress import NullProgress, Progress
from attnreplace.rundir import RunDir, write_json
from attnreplace.splice.bundle import load_bundle_config
from attnreplace.teacher.load import Teacher, load_teacher
from attnreplace.tune.folder import tuned_systems
from attnreplace.versions import versions


def evaluate(
    run: RunDir,
    config: EvalConfig,
    bundles: Sequence[str] | None = None,
    *,
    metric: str | None = None,
    sites: Sequence[str] | None = None,
    remeasure: bool = False,
    progress: Progress = NullProgress(),  # noqa: B008
) -> list[Record]:
    """Evaluate the teacher, its students and the baselines into `run.results`.

    The teacher is loaded once, each system is built once and freed before the next. A record
    whose inputs are unchanged is kept as it is: with its cost where none is asked for, and without
    being scored again where a cost is all that it lacks.

    Args:
        run: holds the teacher and the bundles.
        config: what to evaluate.
        bundles: systems as in `EvalConfig.systems`, in place of those of `config`.
        metric: what to score systems by, "bleu", "accuracy", "perplexity" (at masked tokens) or
            "similarity" (of sentence embeddings); None: what the task of the run is judged by.
        sites: groups of sites, "encoder", "decoder", "cross": of the systems that nobody named,
            those within these groups only; None: all.
        remeasure: measure the cost anew and put it into the records that are kept, which is of use
            where the machine was busy with something else the first time.
        progress: one task for each system, test set and beam width.

    Returns:
        All records, made now or before.

    Raises:
        UserError: no teacher, or one of another task or of other languages; a metric that the task
            has not; an unknown bundle, layer or test set; two bundles of a system that replace the
            same site; students of another teacher; a sentence over the limit where the policy is
            "error".
    """
    teacher = load_teacher(run.teacher)
    specs = asked_systems(run, config, bundles, sites)
    corpus = run.corpus()
    teacher.require_corpus(corpus)
    test_sets = chosen_test_sets(config.test_sets, corpus)
    setup = Setup(teacher, corpus, config)
    scorers = scorers_for(setup, metric)
    if not specs:
        progress.note("no students to evaluate: `attnreplace distill` makes them")
    teacher.model.to(device_named(config.device))  # type: ignore[arg-type]
    stage = _Stage(run, setup, scorers, test_sets, remeasure)
    systems = candidates(teacher, run, specs, config.baselines)
    discard_former(run, teacher, corpus, progress)
    records = []
    for candidate in systems:
        records += stage.evaluate(candidate, progress)
    compare_with_teacher(run.results, records, progress)
    return records


@dataclass(frozen=True)
class _Stage:
    """What the evaluations of one call have in common; how systems are scored is the scorers'."""

    run: RunDir
    setup: Setup
    scorers: list[Scorer]
    test_sets: list[str]
    remeasure: bool

    def evaluate(self, candidate: Candidate, progress: Progress) -> list[Record]:
        """The records of one system on all test sets."""
        name = candidate.system["name"]
        pairs = [(test_set, scorer) for test_set in self.test_sets for scorer in self.scorers]
        before = [self._before(candidate, *pair) for pair in pairs]
        kept = [record for record in before if record]
        if kept:
            progress.note(f"{name}: {len(kept)} of {len(before)} records are up to date and kept")
        cost, measure = None, False
        if self.setup.config.cost:
            cost = next((r["cost"] for r in kept if self._is_comparable(r)), None)
            measure = self.remeasure or cost is None
        if len(kept) == len(before) and not measure:
            records = zip(pairs, kept, strict=True)
            return [self._with_cost(record, candidate, *pair, cost) for pair, record in records]
        model = candidate.build()
        # Measured once, so that all records of a system show the same cost.
        if measure:
            with progress.task(f"{name}, cost", None):
                cost = self._cost(candidate, model)
        return [
            self._with_cost(record, candidate, *pair, cost)
            if record
            else self._evaluate_on(candidate, model, *pair, cost, progress)
            for pair, record in zip(pairs, before, strict=True)
        ]

    def _before(self, candidate: Candidate, test_set: str, scorer: Scorer) -> Record | None:
        """The record that is there, if its scores are those that are wanted.

        Where cost is wanted it may lack one, which is then measured alone. Where none is, it may
        have that of any device.
        """
        devices = {None, self._cost_device} if self.setup.config.cost else {None, "cpu", "cuda"}
        inputs = {self._inputs(candidate, test_set, scorer, device) for device in devices}
        path = self._path(candidate.system["name"], test_set, scorer)
        return finished(path, inputs, scorer.beside)

    def _evaluate_on(
        self,
        candidate: Candidate,
        model: PreTrainedModel,
        test_set: str,
        scorer: Scorer,
        cost: Cost | None,
        progress: Progress,
    ) -> Record:
        """Score one test set and write the record."""
        name, examples = candidate.system["name"], scorer.examples(test_set)
        with progress.task(f"{name}, {test_set}, {scorer.words}", examples) as task:
            outcome = scorer.score(candidate, model, test_set, task, progress)
        record = cast(
            Record,
            {
                "schema": SCHEMA,
                "system": candidate.system,
                "test_set": test_set,
                "sentences": examples,
                **outcome.fields,
                "scores": outcome.scores,
                "cost": cost,
                "relative_mse": candidate.relative_mse,
                "recipe": candidate.recipe,
                "seed": candidate.seed,
                "digests": self._digests(candidate, test_set),
                "inputs_digest": self._inputs(candidate, test_set, scorer, self._cost_device),
                "versions": versions(),
                "created": datetime.now(UTC).isoformat(timespec="seconds"),
            },
        )
        path = self._path(name, test_set, scorer)
        write_record(path, record, outcome.lines, scorer.beside)
        return record

    def _with_cost(
        self,
        record: Record,
        candidate: Candidate,
        test_set: str,
        scorer: Scorer,
        cost: Cost | None,
    ) -> Record:
        """A record that is kept, with its system's cost where cost is wanted."""
        if cost is not None and record["cost"] != cost:
            record["cost"] = cost
            record["inputs_digest"] = self._inputs(candidate, test_set, scorer, self._cost_device)
            write_json(self._path(candidate.system["name"], test_set, scorer), record)
        return record

    def _cost(self, candidate: Candidate, model: PreTrainedModel) -> Cost:
        tokens = self._cost_tokens(self.scorers[0].limit(candidate, model))
        return measure_cost(model, self.setup.teacher.model, candidate.replacement, tokens)

    def _is_comparable(self, record: Record) -> bool:
        """Whether a record's cost was measured at the length that all systems are measured at."""
        tokens = self._cost_tokens(self.scorers[0].recorded_limit(record))
        return record["cost"] is not None and record["cost"]["source_tokens"] == tokens

    def _cost_tokens(self, limit: int) -> int:
        """Tokens of the examples that cost is measured on, as many as a system's limits allow."""
        return max(1, min(self.scorers[0].mean_tokens, limit))

    def _path(self, system: str, test_set: str, scorer: Scorer) -> Path:
        return record_path(self.run.results, system, test_set, scorer.setting)

    def _digests(self, candidate: Candidate, test_set: str) -> Digests:
        return digests_of(self.setup.teacher, self.setup.corpus, test_set, candidate.bundle)

    @property
    def _cost_device(self) -> str | None:
        """What cost is measured on; None where it is not wanted."""
        return self.setup.teacher.model.device.type if self.setup.config.cost else None

    def _inputs(
        self, candidate: Candidate, test_set: str, scorer: Scorer, cost_device: str | None
    ) -> str:
        """Digest of all that decides a record, its versions and the batches left aside."""
        return digest_json(
            {
                "schema": SCHEMA,
                "system": candidate.identity,
                "shapes": candidate.shapes,
                "seed": candidate.seed,
                "digests": self._digests(candidate, test_set),
                "cost": cost_device,
                **scorer.inputs(candidate),
            }
        )


def discard_former(run: RunDir, teacher: Teacher, corpus: AnyCorpus, progress: Progress) -> None:
    """Remove the records that a run has outgrown, and say so."""
    for what, count in discard_stale(run, teacher.digest, corpus).items():
        progress.note(f"records of former {what} are removed from {run.path}: {count}")


def asked_systems(
    run: RunDir, config: EvalConfig, bundles: Sequence[str] | None, sites: Sequence[str] | None
) -> Sequence[str]:
    """The systems that are named; where nobody named any, all of a run's students.

    Args:
        run: holds them.
        config: names some, or none.
        bundles: names in place of those.
        sites: of the systems that nobody named, those within these groups only; None: all.
    """
    specs = (config.systems or None) if bundles is None else bundles
    if specs is not None:
        return specs
    there = {name: load_bundle_config(run.students / name) for name in run.bundles()}
    return [*default_systems(there, sites), *tuned_systems(run, sites)]


def chosen_test_sets(chosen: Sequence[str], corpus: AnyCorpus) -> list[str]:
    """The chosen test sets without repetitions; without any, all that the corpus has.

    Raises:
        UserError: there is none, or none of that name; the message lists the valid ones.
    """
    if not corpus.tests:
        raise UserError(f"the corpus {corpus.name} has no test set; choose one with test sets")
    for name in chosen:
        if name not in corpus.tests:
            raise UserError(f"unknown test set {name!r}; valid: {', '.join(corpus.tests)}")
    return list(dict.fromkeys(chosen)) or list(corpus.tests)


def device_named(name: str) -> torch.device:
    """The device of a configuration: "cpu", "cuda", or "auto".

    Raises:
        UserError: there is no GPU.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise UserError('no GPU is usable here; set device to "cpu" or "auto"')
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)
