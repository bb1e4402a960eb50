"""The evaluation stage: every system on every test set at every beam width, one record each."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

import torch
from transformers import PreTrainedModel

from attnreplace.data.batching import encode
from attnreplace.data.corpus import Corpus
from attnreplace.digest import digest_json
from attnreplace.errors import UserError
from attnreplace.evaluate.bleu import score
from attnreplace.evaluate.cost import measure_cost
from attnreplace.evaluate.record import (
    SCHEMA,
    Cost,
    Digests,
    OverLong,
    Record,
    finished,
    record_path,
    write_record,
)
from attnreplace.evaluate.specs import default_systems
from attnreplace.evaluate.stale import discard_stale, sentences_digest
from attnreplace.evaluate.systems import Candidate, candidates
from attnreplace.evaluate.translate import (
    LENGTH_RULE,
    OVER_LONG,
    Translations,
    forced_tokens,
    translate,
)
from attnreplace.progress import NullProgress, Progress, Task
from attnreplace.rundir import RunDir, write_json
from attnreplace.splice import target_positions
from attnreplace.splice.bundle import load_bundle_config
from attnreplace.teacher.load import Teacher, load_teacher
from attnreplace.versions import versions

DEVICES = ("auto", "cpu", "cuda")


@dataclass(frozen=True)
class EvalConfig:
    """What is evaluated, and how."""

    beams: list[int] = field(default_factory=lambda: [1, 5])
    """Beam widths; 1 is greedy search."""
    test_sets: list[str] = field(default_factory=list)
    """Test sets by name; empty: all that the corpus has."""
    over_long: str = "truncate"
    """Sentences longer than a system's limit, on either side: "error", "truncate" to the limit, or
    "teacher": translated by the teacher. They are counted, never dropped."""
    baselines: bool = True
    """Whether attention removed and untrained students are evaluated too."""
    cost: bool = True
    """Whether operations, latency and memory are measured."""
    batch_tokens: int = 4096
    """Padded source tokens times beams in a batch, at most."""
    device: str = "auto"
    """"cpu", "cuda", or "auto": a GPU where there is one."""
    systems: list[str] = field(default_factory=list)
    """What is spliced into the teacher: bundles ("alr-m"), some of their layers ("alr-m:0-2,4"),
    or several together ("alr-m+alr-m-decoder"). Empty: every bundle alone, and those of one method
    and size for several groups of sites together."""

    def __post_init__(self) -> None:
        if not self.beams:
            raise UserError("evaluate.beams needs at least one beam width, as in [1, 5]")
        for beam in self.beams:
            if isinstance(beam, bool) or not isinstance(beam, int) or beam < 1:
                raise UserError(f"a beam width must be a whole number from 1; got {beam!r}")
        if self.over_long not in OVER_LONG:
            raise UserError(f"unknown over_long {self.over_long!r}; valid: {', '.join(OVER_LONG)}")
        if self.batch_tokens < 1:
            raise UserError(f"evaluate.batch_tokens must be at least 1; got {self.batch_tokens}")
        if self.device not in DEVICES:
            raise UserError(f"unknown device {self.device!r}; valid: {', '.join(DEVICES)}")


def evaluate(
    run: RunDir,
    config: EvalConfig,
    bundles: Sequence[str] | None = None,
    *,
    sites: Sequence[str] | None = None,
    remeasure: bool = False,
    progress: Progress = NullProgress(),  # noqa: B008
) -> list[Record]:
    """Evaluate the teacher, its students and the baselines into `run.results`.

    The teacher is loaded once, each system is built once and freed before the next. A record
    whose inputs are unchanged is kept as it is.

    Args:
        run: holds the teacher and the bundles.
        config: what to evaluate.
        bundles: systems as in `EvalConfig.systems`, in place of those of `config`.
        sites: groups of sites, "encoder", "decoder", "cross": of the systems that nobody named,
            those within these groups only; None: all.
        remeasure: measure the cost anew and put it into the records that are kept, which is of use
            where the machine was busy with something else the first time.
        progress: one task for each system, test set and beam width.

    Returns:
        All records, made now or before.

    Raises:
        UserError: no teacher, or one of other languages; an unknown bundle, layer or test set; two
            bundles of a system that replace the same site; students of another teacher; a sentence
            over the limit where the policy is "error".
    """
    teacher = load_teacher(run.teacher)
    specs = (config.systems or None) if bundles is None else bundles
    if specs is None:
        there = {name: load_bundle_config(run.students / name) for name in run.bundles()}
        specs = default_systems(there, sites)
    corpus = run.corpus()
    teacher.require_corpus(corpus)
    test_sets = _test_sets(config.test_sets, corpus)
    if not specs:
        progress.note("no students to evaluate: `attnreplace distill` makes them")
    teacher.model.to(_device(config.device))  # type: ignore[arg-type]
    run.update_config(evaluate=config)
    stage = _Stage(run, config, teacher, corpus, test_sets, remeasure)
    systems = candidates(teacher, run, specs, config.baselines)
    for what, count in discard_stale(run, teacher.digest, corpus).items():
        progress.note(f"records of former {what} are removed from {run.results}: {count}")
    records = []
    for candidate in systems:
        records += stage.evaluate(candidate, progress)
    return records


@dataclass(frozen=True)
class _Stage:
    """What the evaluations of one call have in common."""

    run: RunDir
    config: EvalConfig
    teacher: Teacher
    corpus: Corpus
    test_sets: list[str]
    remeasure: bool

    def evaluate(self, candidate: Candidate, progress: Progress) -> list[Record]:
        """The records of one system on all test sets."""
        name = candidate.system["name"]
        records: dict[tuple[str, int], Record | None] = {}
        for test_set in self.test_sets:
            for beam in self.config.beams:
                path = record_path(self.run.results, name, test_set, beam)
                records[test_set, beam] = finished(path, self._inputs(candidate, test_set, beam))
        kept = [record for record in records.values() if record]
        if kept:
            progress.note(f"{name}: {len(kept)} of {len(records)} records are up to date and kept")
        if not self.config.cost:
            cost, measure = kept[0]["cost"] if kept else None, False
        else:
            cost = next((r["cost"] for r in kept if self._is_comparable(r)), None)
            measure = self.remeasure or cost is None
        if len(kept) == len(records) and not measure:
            return [self._with_cost(record, cost) for record in kept] if cost else kept
        model = candidate.build()
        # Measured once, so that all records of a system show the same cost.
        if measure:
            with progress.task(f"{name}, cost", None):
                cost = self._cost(candidate, model)
        return [
            self._with_cost(record, cost)
            if record
            else self._evaluate_on(candidate, model, test_set, beam, cost, progress)
            for (test_set, beam), record in records.items()
        ]

    def _with_cost(self, record: Record, cost: Cost | None) -> Record:
        """A record that is kept, with its cost measured anew."""
        if record["cost"] != cost:
            record["cost"] = cost
            name, beam = record["system"]["name"], record["decoding"]["beam"]
            write_json(record_path(self.run.results, name, record["test_set"], beam), record)
        return record

    def _evaluate_on(
        self,
        candidate: Candidate,
        model: PreTrainedModel,
        test_set: str,
        beam: int,
        cost: Cost | None,
        progress: Progress,
    ) -> Record:
        """Translate and score one test set and write the record."""
        name, pairs = candidate.system["name"], self.corpus.tests[test_set]
        with progress.task(f"{name}, {test_set}, beam {beam}", len(pairs)) as task:
            translations = translate(
                model,
                self.teacher.tokenizer,
                pairs.source,
                beam=beam,
                max_length=candidate.limit,
                over_long=self.config.over_long,
                fallback=self.teacher.model,
                batch_tokens=self.config.batch_tokens,
                progress=_Inside(task, progress),
            )
            scores = score(translations.hypotheses, pairs.target)
            task.advance(0, bleu=scores["bleu"]["score"])
        record: Record = {
            "schema": SCHEMA,
            "system": candidate.system,
            "pair": self.corpus.pair,
            "test_set": test_set,
            "sentences": len(pairs),
            "decoding": {
                "beam": beam,
                "max_new_tokens": LENGTH_RULE,
                "over_long": self._over_long(candidate, model, translations),
            },
            "scores": scores,
            "cost": cost,
            "relative_mse": candidate.relative_mse,
            "recipe": candidate.recipe,
            "seed": candidate.seed,
            "digests": self._digests(candidate, test_set),
            "inputs_digest": self._inputs(candidate, test_set, beam),
            "versions": versions(),
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        lines = zip(pairs.source, pairs.target, translations.hypotheses, strict=True)
        write_record(record_path(self.run.results, name, test_set, beam), record, lines)
        return record

    def _over_long(
        self, candidate: Candidate, model: PreTrainedModel, translations: Translations
    ) -> OverLong:
        """What became of sentences over a limit."""
        over_long: OverLong = {
            "policy": self.config.over_long,
            "limit": candidate.limit,
            "count": translations.over_long,
        }
        positions = target_positions(model)
        if positions is not None:
            over_long["target_limit"] = positions
            over_long["targets"] = translations.over_long_targets
        return over_long

    def _cost(self, candidate: Candidate, model: PreTrainedModel) -> Cost:
        tokens = self._cost_tokens(candidate.limit, target_positions(model))
        return measure_cost(model, self.teacher.model, candidate.replacement, tokens)

    def _is_comparable(self, record: Record) -> bool:
        """Whether a record's cost was measured at the length that all systems are measured at."""
        long = record["decoding"]["over_long"]
        tokens = self._cost_tokens(long["limit"], long.get("target_limit"))
        return record["cost"] is not None and record["cost"]["source_tokens"] == tokens

    def _cost_tokens(self, limit: int, target_limit: int | None) -> int:
        """Tokens of the sentences that cost is measured on, as many as a system's limits allow."""
        return max(1, min(self._mean_tokens, limit, target_limit or self._mean_tokens))

    @cached_property
    def _mean_tokens(self) -> int:
        """Mean length in the corpus's first test set, whichever test sets were chosen."""
        ids = encode(self.teacher.tokenizer, next(iter(self.corpus.tests.values())).source)
        return round(sum(map(len, ids)) / len(ids))

    def _digests(self, candidate: Candidate, test_set: str) -> Digests:
        return {
            "teacher": self.teacher.digest,
            "tokenizer": self.teacher.tokenizer_digest,
            "data": self.corpus.digest,
            "test_set": sentences_digest(self.corpus, test_set),
            "bundle": candidate.bundle,
        }

    def _inputs(self, candidate: Candidate, test_set: str, beam: int) -> str:
        """Digest of all that decides a record, its versions and the batches left aside."""
        # These follow from the sites and from the digests of the bundles.
        derived = ("variant", "groups", "parts")
        inputs: dict[str, Any] = {
            "schema": SCHEMA,
            "system": {k: v for k, v in candidate.system.items() if k not in derived},
            "shapes": candidate.shapes,
            "seed": candidate.seed,
            "digests": self._digests(candidate, test_set),
            "decoding": [beam, LENGTH_RULE, self.config.over_long, candidate.limit],
            "cost": self.teacher.model.device.type if self.config.cost else None,
        }
        # Most teachers force nothing; the digests of their records are the same without the field.
        if forced := forced_tokens(self.teacher.model):
            inputs["forced_tokens"] = forced
        return digest_json(inputs)


class _Inside:
    """Progress that counts the steps of an inner function in a task that is open already."""

    def __init__(self, task: Task, outer: Progress) -> None:
        self._task = task
        self.note = outer.note

    @contextmanager
    def task(self, description: str, total: int | None, done: int = 0) -> Iterator[Task]:
        """The open task."""
        yield self._task


def _test_sets(chosen: Sequence[str], corpus: Corpus) -> list[str]:
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


def _device(name: str) -> torch.device:
    if name == "cuda" and not torch.cuda.is_available():
        raise UserError('no GPU is usable here; set device to "cpu" or "auto"')
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)
