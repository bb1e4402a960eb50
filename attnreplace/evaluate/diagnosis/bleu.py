"""BLEU by length of the source, of translations that an evaluation saved."""

from collections.abc import Sequence
from pathlib import Path

from attnreplace.evaluate.bleu import score
from attnreplace.evaluate.diagnosis.bins import Bins
from attnreplace.evaluate.diagnosis.record import BinnedBleu
from attnreplace.evaluate.record import Digests, read_examples
from attnreplace.rundir import read_json


def saved_hypotheses(record: Path, digests: Digests) -> list[str] | None:
    """The hypotheses beside a record of an evaluation, one a sentence of its test set.

    None where they are not there, are not whole, or are of other models or data than `digests`.
    """
    if not record.is_file():
        return None
    value = read_json(record, dict)
    try:
        found = [line["hypothesis"] for line in read_examples(record)]
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None
    same = value.get("digests") == digests and value.get("sentences") == len(found)
    return found if same else None


def bleu_by_length(
    ours: Sequence[str],
    theirs: Sequence[str],
    references: Sequence[str],
    lengths: Sequence[int],
    bins: Bins,
) -> list[BinnedBleu]:
    """BLEU of a system and of its teacher, on the sentences of each bin.

    Args:
        ours: the system's hypotheses.
        theirs: the teacher's.
        references: one a sentence.
        lengths: tokens of each source.
        bins: of these; those without sentences are left out.
    """
    places = [bins.of(length) for length in lengths]
    found: list[BinnedBleu] = []
    for index, (first, last) in enumerate(bins.ranges):
        rows = [row for row, place in enumerate(places) if place == index]
        if not rows:
            continue
        targets = [references[row] for row in rows]
        scores = [
            score([said[row] for row in rows], targets)["bleu"]["score"] for said in (ours, theirs)
        ]
        found.append(
            {
                "first": first,
                "last": last,
                "sentences": len(rows),
                "score": scores[0],
                "teacher_score": scores[1],
            }
        )
    return found
