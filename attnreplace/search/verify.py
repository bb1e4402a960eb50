"""Validation scores of whole systems, by the code that evaluates them on test sets."""

from dataclasses import replace
from typing import Any

from transformers import PreTrainedModel

from attnreplace.digest import digest_json
from attnreplace.errors import UserError
from attnreplace.evaluate.config import EvalConfig
from attnreplace.evaluate.scorers import Setup, scorers_for
from attnreplace.evaluate.systems import Candidate, candidates
from attnreplace.progress import Progress
from attnreplace.rundir import RunDir
from attnreplace.search.scores import Scores
from attnreplace.tasks import get_task
from attnreplace.teacher.load import Teacher

VALIDATION = "validation"


class Verifier:
    """Builds systems and scores them; what is scored is kept."""

    def __init__(
        self,
        run: RunDir,
        teacher: Teacher,
        sample: Any,
        config: EvalConfig,
        scores: Scores,
        progress: Progress,
    ) -> None:
        """Set up.

        Args:
            run: holds the bundles.
            teacher: theirs.
            sample: the corpus, its validation data those to score on.
            config: how systems are evaluated; translations are searched for greedily.
            scores: what is known, and written to.
            progress: one task a system.

        Raises:
            UserError: the teacher cannot be scored.
        """
        self.run, self.teacher, self.scores, self.progress = run, teacher, scores, progress
        setup = Setup(
            teacher,
            replace(sample, tests={VALIDATION: sample.validation}),
            replace(config, beams=[1], systems=[]),
        )
        (self.scorer,) = scorers_for(setup, get_task(sample.task).metric.name)

    @property
    def metric(self) -> str:
        """What is scored."""
        return self.scorer.metric

    def candidate(self, system: str) -> Candidate:
        """A system by its specification; the teacher where that is empty."""
        specs = [system] if system else []
        return candidates(self.teacher, self.run, specs, baselines=False)[-1]

    def model(self, system: str) -> PreTrainedModel:
        """The system, built."""
        return self.candidate(system).build()

    def score(self, system: str) -> float:
        """Its validation score.

        Raises:
            UserError: its students cannot read the validation data.
        """
        candidate = self.candidate(system)
        key = digest_json([candidate.bundle, self.scorer.setting, self.scorer.inputs(candidate)])
        if key not in self.scores.systems:
            name, count = candidate.system["name"], self.scorer.examples(VALIDATION)
            with self.progress.task(f"{name}, {VALIDATION}", count) as task:
                model = candidate.build()
                outcome = self.scorer.score(candidate, model, VALIDATION, task, self.progress)
            self.scores.systems[key] = outcome.scores[self.metric]["score"]
            self.scores.save()
        return self.scores.systems[key]


def require_predictions(teacher: Teacher) -> None:
    """Check that the teacher predicts something.

    Raises:
        UserError: it has no head.
    """
    if teacher.model.base_model is teacher.model:
        raise UserError(
            f"the teacher in {teacher.path} has no head, so that nothing is predicted that "
            "students could be compared by; choose among them with `attnreplace eval`"
        )
