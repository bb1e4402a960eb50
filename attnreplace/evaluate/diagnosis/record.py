"""The record of a diagnosis: what the loss of one system on one test set is made of.

It holds no text, so that it can be published. All figures are means over tokens of references, each
predicted from those before it; divergences and losses are in nats.
"""

from pathlib import Path
from typing import TypedDict

from attnreplace.evaluate.record import Digests, System, record_path
from attnreplace.rundir import read_json

SCHEMA = "attnreplace.diagnosis/1"


class Means(TypedDict):
    """What a system predicts beside the teacher."""

    tokens: int
    divergence: float
    """Kullback-Leibler divergence of its predictions from the teacher's."""
    agreement: float
    """The share of tokens where both find the same one likeliest."""
    loss: float
    """Its cross-entropy."""
    teacher_loss: float


class Binned(Means):
    """The same of some tokens: those at some positions, or of sources of some lengths."""

    first: int
    last: int | None
    """Both ends count; None: no upper end."""


class SiteMeans(TypedDict):
    """What one student does; None where the model gave no numbers."""

    site: str
    alone: float | None
    """Divergence of the teacher with only this student in it."""
    given_back: float | None
    """Divergence of the system with the teacher's attention in place of this student."""


class BinnedBleu(TypedDict):
    """BLEU of the sentences whose sources have some lengths."""

    first: int
    last: int | None
    sentences: int
    score: float
    teacher_score: float


class BeamBleu(TypedDict):
    """At one beam width."""

    beam: int
    lengths: list[BinnedBleu]


class Diagnosis(TypedDict):
    """One system on one test set."""

    schema: str
    system: System
    pair: str
    test_set: str
    sentences: int
    """Of the test set."""
    limit: int
    """Most tokens of a source and of a reference, `</s>` included."""
    left_out: int
    """Sentences over it."""
    overall: Means
    positions: list[Binned]
    """By position of the token in the reference, from 1."""
    lengths: list[Binned]
    """By length of the source, in tokens."""
    sites: list[SiteMeans]
    sites_missing: str
    """Why `sites` is empty; else nothing."""
    bleu: list[BeamBleu]
    """Of saved translations, the sentences over the limit among them; signed as those are."""
    bleu_missing: str
    """Why `bleu` is empty; else nothing."""
    digests: Digests
    inputs_digest: str
    """Digest of all that decides the above but `bleu`."""
    versions: dict[str, str]
    created: str
    """ISO 8601, UTC."""


def diagnosis_path(folder: Path, system: str, test_set: str) -> Path:
    """Where a record lies in the folder of diagnoses."""
    return record_path(folder, system, test_set, "diagnosis")


def finished_diagnosis(path: Path, inputs_digest: str) -> Diagnosis | None:
    """The record at `path` if it was made from the same inputs, else None."""
    if not path.is_file():
        return None
    record: Diagnosis = read_json(path, dict)
    return record if record.get("inputs_digest") == inputs_digest else None
