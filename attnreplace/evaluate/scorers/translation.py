"""Translation: sacreBLEU and chrF of hypotheses, at one beam width."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any

from transformers import PreTrainedModel

from attnreplace.data.batching import encode
from attnreplace.evaluate.bleu import score
from attnreplace.evaluate.record import TRANSLATIONS, Decoding, OverLong, Record
from attnreplace.evaluate.scorers.base import Outcome, Scorer, Setup
from attnreplace.evaluate.systems import Candidate
from attnreplace.evaluate.translate import LENGTH_RULE, Translations, forced_tokens, translate
from attnreplace.progress import Progress, Task
from attnreplace.splice import target_positions


class Translation(Scorer):
    """Translates a test set, no sentence left out."""

    metric, tasks, beside = "bleu", ("translation",), TRANSLATIONS

    def __init__(self, setup: Setup, beam: int) -> None:
        super().__init__(setup)
        self.beam = beam

    @classmethod
    def all(cls, setup: Setup) -> list[Scorer]:
        """One for every beam width."""
        return [cls(setup, beam) for beam in setup.config.beams]

    @property
    def setting(self) -> str:
        """The beam width."""
        return f"beam{self.beam}"

    @property
    def words(self) -> str:
        """The beam width."""
        return f"beam {self.beam}"

    def inputs(self, candidate: Candidate) -> dict[str, Any]:
        """How hypotheses are searched for."""
        inputs: dict[str, Any] = {
            "decoding": [self.beam, LENGTH_RULE, self.setup.config.over_long, candidate.limit]
        }
        # Most teachers force nothing; the digests of their records are the same without the field.
        if forced := forced_tokens(self.setup.teacher.model):
            inputs["forced_tokens"] = forced
        return inputs

    def score(
        self,
        candidate: Candidate,
        model: PreTrainedModel,
        test_set: str,
        task: Task,
        progress: Progress,
    ) -> Outcome:
        """Translate and score."""
        config, teacher = self.setup.config, self.setup.teacher
        pairs = self.setup.corpus.tests[test_set]
        translations = translate(
            model,
            teacher.tokenizer,
            pairs.source,
            beam=self.beam,
            max_length=candidate.limit,
            over_long=config.over_long,
            fallback=teacher.model,
            batch_tokens=config.batch_tokens,
            progress=_Inside(task, progress),
        )
        scores = score(translations.hypotheses, pairs.target)
        task.advance(0, bleu=scores["bleu"]["score"])
        decoding: Decoding = {
            "beam": self.beam,
            "max_new_tokens": LENGTH_RULE,
            "over_long": self._over_long(candidate, model, translations),
        }
        names = ("source", "reference", "hypothesis")
        lines = zip(pairs.source, pairs.target, translations.hypotheses, strict=True)
        return Outcome(
            scores,
            {"pair": self.setup.corpus.pair, "decoding": decoding},
            (dict(zip(names, line, strict=True)) for line in lines),
        )

    @cached_property
    def mean_tokens(self) -> int:
        """Mean length of the source."""
        first = next(iter(self.setup.corpus.tests.values()))
        ids = encode(self.setup.teacher.tokenizer, first.source)
        return round(sum(map(len, ids)) / len(ids))

    def limit(self, candidate: Candidate, model: PreTrainedModel) -> int:
        """Both sides have limits."""
        return min(candidate.limit, target_positions(model) or candidate.limit)

    def recorded_limit(self, record: Record) -> int:
        """Both sides have limits."""
        over_long = record["decoding"]["over_long"]
        return min(over_long["limit"], over_long.get("target_limit", over_long["limit"]))

    def _over_long(
        self, candidate: Candidate, model: PreTrainedModel, translations: Translations
    ) -> OverLong:
        """What became of sentences over a limit."""
        over_long: OverLong = {
            "policy": self.setup.config.over_long,
            "limit": candidate.limit,
            "count": translations.over_long,
        }
        positions = target_positions(model)
        if positions is not None:
            over_long["target_limit"] = positions
            over_long["targets"] = translations.over_long_targets
        return over_long


class _Inside:
    """Progress that counts the steps of an inner function in a task that is open already."""

    def __init__(self, task: Task, outer: Progress) -> None:
        self._task = task
        self.note = outer.note

    @contextmanager
    def task(self, description: str, total: int | None, done: int = 0) -> Iterator[Task]:
        """The open task."""
        yield self._task
