"""Is the difference to the teacher more than chance: paired bootstrap resampling of BLEU."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from sacrebleu.metrics import BLEU
from sacrebleu.significance import PairedTest, Result

from attnreplace.evaluate.record import Record, Significance, read_examples, record_path
from attnreplace.progress import Progress
from attnreplace.rundir import write_json

SAMPLES = 1000
"""Test sets that are drawn from the test set."""


def paired_bootstrap(
    hypotheses: Sequence[str], baseline: Sequence[str], references: Sequence[str]
) -> tuple[float, str]:
    """Paired bootstrap resampling (Koehn 2004), by sacreBLEU, of one reference a sentence.

    Returns:
        The p-value of the difference in BLEU, and what is needed to reproduce it.
    """
    systems = [("baseline", baseline), ("system", hypotheses)]
    test = PairedTest(systems, {"BLEU": BLEU(force=True)}, [references], "bs", SAMPLES)
    signatures, found = test()
    theirs, ours = found["BLEU"]
    assert isinstance(theirs, Result) and isinstance(ours, Result) and ours.p_value is not None
    # The library counts the samples that differ by more than the whole: where all are alike, none.
    alike = ours.score == theirs.score or len(references) == 1
    return 1.0 if alike else float(ours.p_value), str(signatures["BLEU"])


def compare_with_teacher(results: Path, records: Sequence[Record], progress: Progress) -> None:
    """Put into each record of translations how it stands to the teacher's of the same setting.

    What was tested before is kept as long as both records stand.

    Args:
        results: where the records are, and the translations beside them.
        records: those of the teacher among them.
        progress: one task, if there is something to test.
    """
    translated = [record for record in records if "decoding" in record]
    teachers = {_setting(r): r for r in translated if r["system"]["kind"] == "teacher"}
    missing = [
        (record, teacher)
        for record in translated
        if (teacher := teachers.get(_setting(record))) is not None
        and record is not teacher
        and record.get("significance", {}).get("teacher") != teacher["inputs_digest"]
    ]
    if not missing:
        return
    baselines: dict[tuple[str, int], list[str]] = {}
    with progress.task("significance", len(missing)) as task:
        for record, teacher in missing:
            path, setting = _path(results, record), _setting(record)
            if setting not in baselines:
                baselines[setting] = _column(read_examples(_path(results, teacher)), "hypothesis")
            lines = read_examples(path)
            p, signature = paired_bootstrap(
                _column(lines, "hypothesis"), baselines[setting], _column(lines, "reference")
            )
            found: Significance = {
                "p": p,
                "signature": signature,
                "teacher": teacher["inputs_digest"],
            }
            record["significance"] = found
            write_json(path, record)
            task.advance(1)


def _setting(record: Record) -> tuple[str, int]:
    return record["test_set"], record["decoding"]["beam"]


def _path(results: Path, record: Record) -> Path:
    test_set, beam = _setting(record)
    return record_path(results, record["system"]["name"], test_set, f"beam{beam}")


def _column(lines: Sequence[Mapping[str, str]], name: str) -> list[str]:
    return [line[name] for line in lines]
