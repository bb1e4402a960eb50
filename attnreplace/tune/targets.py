"""The teacher's own translations of the training set: sequence-level distillation.

Kim and Rush, "Sequence-Level Knowledge Distillation", arXiv 1606.07947.
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import torch
from transformers import PreTrainedModel

from attnreplace.data.corpus import Corpus, Pairs
from attnreplace.digest import digest_json
from attnreplace.errors import UserError
from attnreplace.evaluate.translate import translate
from attnreplace.locks import only_one
from attnreplace.progress import Progress
from attnreplace.rundir import RunDir
from attnreplace.teacher.load import Teacher

CHUNK = 512
"""Sentences translated between two writes."""


def with_own_translations(
    run: RunDir,
    teacher: Teacher,
    corpus: Corpus,
    beam: int,
    device: torch.device,
    progress: Progress,
) -> Corpus:
    """The corpus with the teacher's translations in place of the training set's.

    They are kept in the run, sentence by sentence as JSON lines behind one that says what they were
    made from; interrupted, the next call goes on.

    Args:
        device: where the teacher translates; it is back afterwards where it was.

    Raises:
        UserError: the disk is full.
    """
    path = run.path / f"translations.beam{beam}.jsonl"
    made_from = digest_json([teacher.digest, teacher.tokenizer_digest, corpus.digest, beam])
    done = _read(path, made_from)
    source = corpus.train.source
    if len(done) < len(source):
        alone = only_one(path.with_suffix(".lock"), f"writing {path}")
        with alone, _on(device, teacher.model):
            _translate(path, made_from, teacher, source, done, beam, progress)
    # What came out empty teaches nothing.
    pairs = [(s, t) for s, t in zip(source, done, strict=True) if t]
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


def _translate(
    path: Path,
    made_from: str,
    teacher: Teacher,
    source: list[str],
    done: list[str],
    beam: int,
    progress: Progress,
) -> None:
    """Translate what is left, into `done` and into the file."""
    with progress.task("the teacher's translations", len(source), len(done)) as task:
        try:
            with path.open("r+" if done else "w", encoding="utf-8") as file:
                if done:
                    # Behind whole lines: the last may have been cut short.
                    file.truncate(len(_lines(made_from, *done)))
                    file.seek(0, os.SEEK_END)
                else:
                    file.write(_lines(made_from))
                while len(done) < len(source):
                    more = source[len(done) : len(done) + CHUNK]
                    hypotheses = translate(
                        teacher.model,
                        teacher.tokenizer,
                        more,
                        beam=beam,
                        max_length=teacher.max_length,
                        over_long="truncate",
                    ).hypotheses
                    file.write(_lines(*hypotheses))
                    file.flush()
                    done += hypotheses
                    task.advance(len(more))
        except OSError as error:
            raise UserError(
                f"cannot write {path} ({error.strerror}); free some disk space and repeat the "
                "command, which goes on"
            ) from error


def _lines(*values: str) -> str:
    """As they stand in the file; all of it is ASCII."""
    return "".join(f"{json.dumps(value)}\n" for value in values)


def _read(path: Path, made_from: str) -> list[str]:
    """The translations that are there, if they were made from the same."""
    if not path.is_file():
        return []
    lines = path.read_text(encoding="utf-8").split("\n")[:-1]
    try:
        first, *values = [json.loads(line) for line in lines]
    except ValueError:
        return []
    return values if first == made_from else []
