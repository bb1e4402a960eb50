import json
from pathlib import Path

import pytest

from attnreplace.evaluate.bleu import score
from attnreplace.evaluate.diagnosis.bins import Bins
from attnreplace.evaluate.diagnosis.bleu import bleu_by_length, saved_hypotheses
from attnreplace.evaluate.record import Digests, examples_path
from attnreplace.rundir import write_json

REFERENCES = [
    "A dog runs across the green meadow.",
    "Two men stand at the old stove.",
    "A woman with a hat reads a newspaper at the river.",
    "Children play in the warm sand.",
]
DIGESTS: Digests = {
    "teacher": "a", "tokenizer": "b", "data": "c", "test_set": "d", "bundle": None
}  # fmt: skip


def test_each_bin_is_scored_by_itself() -> None:
    ours = [text.replace("the", "a") for text in REFERENCES]
    rows = bleu_by_length(ours, REFERENCES, REFERENCES, [9, 8, 14, 7], Bins((8, 10, 12), None))
    assert [(row["first"], row["last"], row["sentences"]) for row in rows] == [
        (1, 8, 2),
        (9, 10, 1),
        (13, None, 1),
    ]
    assert all(row["teacher_score"] == pytest.approx(100) for row in rows)
    short = score([ours[1], ours[3]], [REFERENCES[1], REFERENCES[3]])["bleu"]["score"]
    assert rows[0]["score"] == short < 100


def test_translations_count_where_they_are_of_the_same_and_whole(tmp_path: Path) -> None:
    path = tmp_path / "teacher.test.beam1.json"
    assert saved_hypotheses(path, DIGESTS) is None
    # A separator of lines to Unicode, but not to JSON.
    said = ["One\u2028dog.", "Yes."]
    write_json(path, {"digests": DIGESTS, "sentences": 2})
    lines = [json.dumps({"hypothesis": text}, ensure_ascii=False) for text in said]
    examples_path(path).write_text("\n".join([*lines, ""]), encoding="utf-8")
    assert saved_hypotheses(path, DIGESTS) == said
    assert saved_hypotheses(path, {**DIGESTS, "bundle": "e"}) is None
    examples_path(path).write_text(f"{lines[0]}\n", encoding="utf-8")
    assert saved_hypotheses(path, DIGESTS) is None
    examples_path(path).write_text("not JSON\n\n", encoding="utf-8")
    assert saved_hypotheses(path, DIGESTS) is None
