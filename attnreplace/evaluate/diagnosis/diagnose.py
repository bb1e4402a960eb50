"""What systems' losses are made of: `eval --diagnose`, one record a system and test set."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

from transformers import PreTrainedModel

from attnreplace.data.batching import encode
from attnreplace.data.corpus import Corpus
from attnreplace.digest import digest_json
from attnreplace.errors import UserError
from attnreplace.evaluate.config import EvalConfig
from attnreplace.evaluate.diagnosis.bins import length_bins, position_bins
from attnreplace.evaluate.diagnosis.bleu import bleu_by_length, saved_hypotheses
from attnreplace.evaluate.diagnosis.passes import differs_in_students_alone, measure
from attnreplace.evaluate.diagnosis.record import (
    SCHEMA,
    BeamBleu,
    Diagnosis,
    diagnosis_path,
    finished_diagnosis,
)
from attnreplace.evaluate.evaluate import (
    asked_systems,
    chosen_test_sets,
    device_named,
    discard_former,
)
from attnreplace.evaluate.forced import forced_learner
from attnreplace.evaluate.record import Digests, record_path
from attnreplace.evaluate.stale import digests_of
from attnreplace.evaluate.systems import Candidate, candidates
from attnreplace.progress import NullProgress, Progress
from attnreplace.rundir import RunDir, write_json
from attnreplace.splice import target_positions
from attnreplace.teacher.config import TrainingConfig
from attnreplace.teacher.load import Teacher, load_teacher
from attnreplace.versions import versions

LOGITS = 2**22
"""Numbers that the predictions of a batch may be: little enough to stay near the processor."""


def diagnose(
    run: RunDir,
    config: EvalConfig,
    bundles: Sequence[str] | None = None,
    *,
    sites: Sequence[str] | None = None,
    progress: Progress = NullProgress(),  # noqa: B008
) -> list[Diagnosis]:
    """Take the losses of spliced models apart, into `run.diagnoses`.

    Teacher and system predict each token of the references from those before it. A record whose
    inputs are unchanged is kept; BLEU in it follows the translations that evaluations saved.

    Args:
        run: holds the teacher and the students.
        config: which systems, test sets, beam widths and device.
        bundles: systems as in `EvalConfig.systems`, in place of those of `config`.
        sites: of the systems that nobody named, those within these groups of sites; None: all.
        progress: one task for each system and test set, and what is left out.

    Returns:
        All records, made now or before, system by system.

    Raises:
        UserError: no teacher, or one that does not translate; an unknown bundle, layer or test
            set; no students; no pair of a test set within the limit.
    """
    teacher, corpus = load_teacher(run.teacher), run.corpus()
    teacher.require_corpus(corpus)
    if not isinstance(corpus, Corpus):
        raise UserError(
            "--diagnose takes translations apart by the positions of their tokens; the task "
            f"{corpus.task} has none: leave it out"
        )
    specs = asked_systems(run, config, bundles, sites)
    test_sets = chosen_test_sets(config.test_sets, corpus)
    teacher.model.to(device_named(config.device))  # type: ignore[arg-type]
    systems = [one for one in candidates(teacher, run, specs, False) if one.bundle is not None]
    if not systems:
        raise UserError(f"no students in {run.path}; `attnreplace distill` makes some")
    discard_former(run, teacher, corpus, progress)
    # Of every sentence, so that systems of other limits are held against the same bins.
    sources = {name: encode(teacher.tokenizer, corpus.tests[name].source) for name in test_sets}
    lengths = {name: [len(ids) for ids in sentences] for name, sentences in sources.items()}
    stage = _Stage(run, config, teacher, corpus, lengths)
    return [record for one in systems for record in stage.diagnose(one, progress)]


@dataclass(frozen=True)
class _Stage:
    """What the diagnoses of one call have in common."""

    run: RunDir
    config: EvalConfig
    teacher: Teacher
    corpus: Corpus
    lengths: dict[str, list[int]]
    """Tokens of every source, by test set."""

    def diagnose(self, candidate: Candidate, progress: Progress) -> list[Diagnosis]:
        """The records of one system on all test sets."""
        name, parts = candidate.system["name"], candidate.system.get("parts", [])
        if any(part["form"] == "paper" for part in parts):
            # On references they read the words that they are to predict.
            progress.note(f"{name} is left out: its students are not causal")
            return []
        before = {test_set: self._finished(candidate, test_set) for test_set in self.lengths}
        if kept := sum(record is not None for record in before.values()):
            progress.note(f"{name}: {kept} of {len(before)} diagnoses are up to date and kept")
        model = None if kept == len(before) else candidate.build()
        found: list[Diagnosis] = []
        for test_set, record in before.items():
            new = record or self._measure(candidate, cast(Any, model), test_set, progress)
            if new is None:
                progress.note(f"{name} is left out: on {test_set} it gives no numbers")
                continue
            beams = {*self.config.beams, *(part["beam"] for part in new["bleu"])}
            bleu = self._bleu(candidate, test_set, sorted(beams))
            missing = "" if bleu else "no saved translations of both the teacher and the system"
            found.append({**new, "bleu": bleu, "bleu_missing": missing})
            if found[-1] != record:
                write_json(self._path(candidate, test_set), found[-1])
        return found

    def _measure(
        self, candidate: Candidate, model: PreTrainedModel, test_set: str, progress: Progress
    ) -> Diagnosis | None:
        """All but BLEU; None where the model gives no numbers."""
        pairs = self.corpus.tests[test_set]
        limit = min(candidate.limit, target_positions(model) or candidate.limit)
        # However large the vocabulary is.
        tokens = max(limit, min(self.config.batch_tokens, LOGITS // model.config.vocab_size))
        try:
            learner = forced_learner(
                self.teacher, self.corpus, pairs, limit, TrainingConfig(batch_tokens=tokens)
            )
        except UserError as error:
            raise UserError(
                f"no pair of the test set {test_set} has at most {limit} tokens on both sides"
            ) from error
        teacher, name = self.teacher.model, candidate.system["name"]
        bins = position_bins(limit), length_bins(self.lengths[test_set])
        by_site = differs_in_students_alone(model, teacher)
        with progress.task(f"{name}, {test_set}, token by token", learner.size) as task:
            found = measure(model, teacher, learner, *bins, by_site, task)
            overall = found.positions.overall()
            task.advance(0, divergence=overall["divergence"])
        if not (math.isfinite(overall["divergence"]) and math.isfinite(overall["loss"])):
            return None
        return {
            "schema": SCHEMA,
            "system": candidate.system,
            "pair": self.corpus.pair,
            "test_set": test_set,
            "sentences": len(pairs),
            "limit": limit,
            "left_out": len(pairs) - learner.size,
            "overall": overall,
            "positions": found.positions.binned(),
            "lengths": found.lengths.binned(),
            "sites": found.sites,
            "sites_missing": "" if by_site else "more than its students was tuned",
            "bleu": [],
            "bleu_missing": "",
            "digests": self._digests(test_set, candidate.bundle),
            "inputs_digest": self._inputs(candidate, test_set),
            "versions": versions(),
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
        }

    def _bleu(self, candidate: Candidate, test_set: str, beams: Sequence[int]) -> list[BeamBleu]:
        """At each of the beam widths that both the teacher's and the system's translations have."""
        lengths, pairs = self.lengths[test_set], self.corpus.tests[test_set]
        systems = (candidate.system["name"], candidate.bundle), ("teacher", None)
        found: list[BeamBleu] = []
        for beam in beams:
            ours, theirs = (
                saved_hypotheses(
                    record_path(self.run.results, name, test_set, f"beam{beam}"),
                    self._digests(test_set, bundle),
                )
                for name, bundle in systems
            )
            if ours and theirs:
                rows = bleu_by_length(ours, theirs, pairs.target, lengths, length_bins(lengths))
                found.append({"beam": beam, "lengths": rows})
        return found

    def _finished(self, candidate: Candidate, test_set: str) -> Diagnosis | None:
        return finished_diagnosis(
            self._path(candidate, test_set), self._inputs(candidate, test_set)
        )

    def _path(self, candidate: Candidate, test_set: str) -> Path:
        return diagnosis_path(self.run.diagnoses, candidate.system["name"], test_set)

    def _inputs(self, candidate: Candidate, test_set: str) -> str:
        """Digest of all that decides a record, its versions and the batches left aside."""
        return digest_json(
            {
                "schema": SCHEMA,
                "system": candidate.identity,
                "limit": candidate.limit,
                "digests": self._digests(test_set, candidate.bundle),
            }
        )

    def _digests(self, test_set: str, bundle: str | None) -> Digests:
        return digests_of(self.teacher, self.corpus, test_set, bundle)
