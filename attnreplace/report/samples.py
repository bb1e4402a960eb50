"""Sample translations: which sentences to show, and where a system departs from the teacher."""

import difflib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from attnreplace.errors import UserError
from attnreplace.evaluate.record import examples_path, record_path
from attnreplace.report.fields import Fields
from attnreplace.report.result import Result
from attnreplace.report.scopes import scopes_of
from attnreplace.report.selection import best, of_kind

SENTENCES = 8
RULE = (
    "The test set in order of length, cut into eight equal parts: from the first, third, fifth "
    "and seventh the sentence on which the systems differ most, from the others the middle one."
)


@dataclass(frozen=True)
class Sample:
    """One sentence and what each system made of it."""

    source: str
    reference: str
    hypotheses: tuple[tuple[Result, str], ...]
    """The teacher first."""


def load_samples(results: Sequence[Result], folder: Path) -> list[Sample]:
    """Samples of the teacher, some students, and attention removed.

    Where one kind of attention is replaced, the best student of each method; where there are
    several, the best one of each, and attention removed where most of it is replaced.

    Args:
        results: of one test set and beam width, in reading order.
        folder: where the translations lie.

    Returns:
        At most `SENTENCES` samples; none of other tasks than translation, and none where the
        translations of the teacher are not there.

    Raises:
        UserError: a file of translations is broken.
    """
    results = [result for result in results if result.task == "translation"]
    found = [(result, _path(result, folder)) for result in _systems(results)]
    found = [(result, path) for result, path in found if path.is_file()]
    if not found or found[0][0].kind != "teacher":
        return []
    lines = [(result, _read(path)) for result, path in found]
    first = lines[0][1]
    for (_, path), (_, other) in zip(found, lines, strict=True):
        if [line[:2] for line in other] != [line[:2] for line in first]:
            raise UserError(f"{path} and {found[0][1]} hold other sentences; evaluate both again")
    samples = [
        Sample(source, reference, tuple((result, other[i][2]) for result, other in lines))
        for i, (source, reference, _) in enumerate(first)
    ]
    return choose(samples)


def choose(samples: Sequence[Sample], n: int = SENTENCES) -> list[Sample]:
    """Up to `n` samples by the rule that `RULE` tells; of equal sources only the first counts."""
    unique = list({sample.source: sample for sample in reversed(samples)}.values())[::-1]
    ordered = sorted(unique, key=lambda sample: len(sample.source))
    n = min(n, len(ordered))
    parts = [ordered[len(ordered) * i // n : len(ordered) * (i + 1) // n] for i in range(n)]
    return [
        max(part, key=_disagreement) if i % 2 == 0 else part[len(part) // 2]
        for i, part in enumerate(parts)
    ]


def departures(teacher: str, hypothesis: str) -> list[tuple[str, bool]]:
    """The hypothesis in pieces of words, and whether a piece is not the teacher's."""
    ours, theirs = hypothesis.split(), teacher.split()
    matcher = difflib.SequenceMatcher(a=theirs, b=ours, autojunk=False)
    return [
        (" ".join(ours[start:end]), kind != "equal")
        for kind, _, _, start, end in matcher.get_opcodes()
        if start < end
    ]


def _systems(results: Sequence[Result]) -> list[Result]:
    """The teacher, the best students, attention removed."""
    scopes = scopes_of(result.scope for result in of_kind(results, "student"))
    students: dict[Any, list[Result]] = {}
    for result in of_kind(results, "student"):
        key = result.scope if len(scopes) > 1 else (result.method, result.family)
        students.setdefault(key, []).append(result)
    removed = of_kind(results, "removed")
    if len(scopes) > 1:
        removed = [result for result in removed if result.scope == scopes[-1]]
    groups = [of_kind(results, "teacher"), *students.values(), removed]
    return [chosen for group in groups if (chosen := best(group)) is not None]


def _disagreement(sample: Sample) -> tuple[int, int]:
    """How many different translations there are, and how many words depart from the teacher."""
    texts = [text for _, text in sample.hypotheses]
    words = sum(
        len(piece.split()) for text in texts for piece, new in departures(texts[0], text) if new
    )
    return len(set(texts)), words


def _path(result: Result, folder: Path) -> Path:
    return examples_path(record_path(folder, result.name, result.test_set, result.setting))


def _read(path: Path) -> list[tuple[str, str, str]]:
    """Source, reference and hypothesis of each line."""
    lines = []
    text = path.read_text(encoding="utf-8", errors="replace")
    for number, line in enumerate(text.split("\n"), start=1):
        if not line:
            continue
        where = f"{path}, line {number}"
        try:
            fields = Fields(json.loads(line), where)
        except json.JSONDecodeError as error:
            raise UserError(f"{where} is not JSON; delete that file and evaluate again") from error
        source, reference = fields.need(str, "source"), fields.need(str, "reference")
        lines.append((source, reference, fields.need(str, "hypothesis")))
    return lines
