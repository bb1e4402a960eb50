"""The teacher's own translations of the training set: sequence-level distillation.

Kim and Rush, "Sequence-Level Knowledge Distillation", arXiv 1606.07947.
"""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch
from transformers import PreTrainedModel

from attnreplace.data.corpus import Corpus, Pairs
from attnreplace.digest import digest_json
from attnreplace.distill.team import Team, wait_for
from attnreplace.errors import UserError
from attnreplace.evaluate.translate import translate
from attnreplace.locks import only_one
from attnreplace.progress import Progress
from attnreplace.rundir import RunDir, write_text
from attnreplace.teacher.load import Teacher

CHUNK = 512
"""Sentences translated between two writes; the division does not depend on who translates them."""


def with_own_translations(
    run: RunDir, teacher: Teacher, corpus: Corpus, beam: int, team: Team, progress: Progress
) -> Corpus:
    """The corpus with the teacher's translations in place of the training set's.

    They are kept in the run, as JSON lines behind one that says what they were made from. The
    processes of a team share the chunks of sentences out, each on its device, and wait for each
    other's files; the first joins them. Interrupted, the next call goes on, with as many processes
    as it has.

    Args:
        team: the processes, all of which make this call; the teacher is back afterwards where it
            was.

    Raises:
        UserError: the disk is full, or another command is translating.
    """
    made_from = digest_json([teacher.digest, teacher.tokenizer_digest, corpus.digest, beam])
    whole = _Lines(run.path / f"translations.beam{beam}.jsonl", made_from)
    source = corpus.train.source
    if not whole.hold(len(source)):
        alone = only_one(whole.path.with_suffix(".lock"), f"writing {whole.path}")
        with alone if team.leads else nullcontext(), _on(team.device, teacher.model):
            _share(whole, teacher, source, beam, team, progress)
    # What came out empty teaches nothing.
    pairs = [(s, t) for s, t in zip(source, whole.read(), strict=True) if t]
    return replace(corpus, train=Pairs([s for s, _ in pairs], [t for _, t in pairs]))


@contextmanager
def _on(device: torch.device, model: PreTrainedModel) -> Iterator[None]:
    """The model on a device meanwhile."""
    before = model.device
    model.to(device)  # type: ignore[arg-type]
    try:
        yield
    finally:
        # What is drawn for a model made from it is drawn where it is.
        model.to(before)  # type: ignore[arg-type]


@dataclass(frozen=True)
class _Lines:
    """Texts in a file, behind what they were made from; there whole or not at all."""

    path: Path
    made_from: str

    def hold(self, count: int) -> bool:
        """Whether that many are there, made from the same."""
        return len(self.read()) == count

    def read(self) -> list[str]:
        """Those that are there; none where they were made from something else."""
        if not self.path.is_file():
            return []
        with self.path.open(encoding="utf-8") as file:
            if next(file, "") != _line(self.made_from):
                return []
            lines = file.read().split("\n")[:-1]
        try:
            return [json.loads(line) for line in lines]
        except ValueError:
            return []

    def write(self, texts: list[str]) -> None:
        """Put them there.

        Raises:
            UserError: the disk is full.
        """
        try:
            write_text(self.path, "".join(map(_line, [self.made_from, *texts])))
        except OSError as error:
            raise UserError(
                f"cannot write {self.path} ({error.strerror}); free some disk space and repeat "
                "the command, which goes on"
            ) from error


def _line(text: str) -> str:
    """As it stands in the file; all of it is ASCII."""
    return f"{json.dumps(text)}\n"


def _share(
    whole: _Lines, teacher: Teacher, source: list[str], beam: int, team: Team, progress: Progress
) -> None:
    """Translate this process' chunks, and wait for the others'; the first process joins all."""
    folder = whole.path.with_suffix(".parts")
    parts = {
        start: _Lines(folder / f"{start}.jsonl", whole.made_from)
        for start in range(0, len(source), CHUNK)
    }
    texts = {start: source[start : start + CHUNK] for start in parts}
    own = list(parts)[team.index :: team.count]

    def there(start: int) -> bool:
        return parts[start].hold(len(texts[start]))

    with progress.task("the teacher's translations", len(source)) as task:
        for start in own:
            if not there(start):
                hypotheses = translate(
                    teacher.model,
                    teacher.tokenizer,
                    texts[start],
                    beam=beam,
                    max_length=teacher.max_length,
                    over_long="truncate",
                ).hypotheses
                parts[start].write(hypotheses)
            task.advance(len(texts[start]))
        if team.leads:
            for start in sorted({*parts}.difference(own)):
                wait_for(partial(there, start))
                task.advance(len(texts[start]))
            whole.write([text for part in parts.values() for text in part.read()])
            shutil.rmtree(folder)
        else:
            wait_for(lambda: whole.hold(len(source)))
