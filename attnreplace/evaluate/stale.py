"""Records that a run has outgrown: of a former teacher, former students or a former corpus.

They stay behind when something is replaced, and would stand in tables beside what is there now.
"""

from collections.abc import Mapping
from typing import Any

from attnreplace.data.corpora import AnyCorpus
from attnreplace.data.corpus import Corpus
from attnreplace.digest import digest_json
from attnreplace.evaluate.record import Digests, remove_record
from attnreplace.rundir import RunDir, read_json
from attnreplace.splice.bundle import CONFIG
from attnreplace.teacher.load import Teacher
from attnreplace.tune.folder import TUNED, tuned_models, tuned_record

UNTRAINED = "untrained-"
"""How names of students that were not trained begin."""


def bundle_files(run: RunDir) -> dict[str, Any]:
    """What stands in the configuration of each bundle there is now, by name; of each tuned model
    its record."""
    files = {name: read_json(run.students / name / CONFIG, dict) for name in run.bundles()}
    return files | {f"{TUNED}{name}": tuned_record(run, name) for name in tuned_models(run)}


def examples_digest(corpus: AnyCorpus, test_set: str) -> str:
    """Digest of the examples of a test set: of a translation, the sentences alone."""
    if not isinstance(corpus, Corpus):
        return corpus.test_digest(test_set)
    pairs = corpus.tests[test_set]
    return digest_json([pairs.source, pairs.target])


def digests_of(teacher: Teacher, corpus: AnyCorpus, test_set: str, bundle: str | None) -> Digests:
    """What goes into a record.

    Args:
        teacher: the teacher.
        corpus: holds the test set.
        test_set: its name.
        bundle: digest of trained students; None where there are none.
    """
    return {
        "teacher": teacher.digest,
        "tokenizer": teacher.tokenizer_digest,
        "data": corpus.digest,
        "test_set": examples_digest(corpus, test_set),
        "bundle": bundle,
    }


def of_former_students(record: Mapping[str, Any], files: Mapping[str, Any]) -> bool:
    """Whether a bundle of a record's system is gone or has other students now.

    Args:
        record: a result record.
        files: as `bundle_files` gives it.
    """
    system = record["system"]
    if system["name"].startswith(TUNED):
        tuned = files.get(system["name"], {}).get("inputs_digest")
        return bool(tuned != record["digests"]["bundle"])
    if system["kind"] not in ("student", "untrained"):
        return False
    parts = system.get("parts") or _early_parts(record)
    return any(
        part["bundle"] not in files or _differs(part, record, files[part["bundle"]])
        for part in parts
    )


def of_former_corpus(record: Mapping[str, Any], corpus: AnyCorpus) -> bool:
    """Whether a record is of other examples; a test set the corpus lacks cannot be compared."""
    digests, test_set = record.get("digests", {}), str(record.get("test_set"))
    now = {"data": corpus.digest}
    if test_set in corpus.tests:
        now["test_set"] = examples_digest(corpus, test_set)
    return any(digests.get(name, digest) != digest for name, digest in now.items())


def discard_stale(run: RunDir, teacher_digest: str, corpus: AnyCorpus) -> dict[str, int]:
    """Remove the records that a run has outgrown.

    Args:
        run: holds the records and the bundles.
        teacher_digest: of the teacher there is now.
        corpus: the corpus there is now.

    Returns:
        How many there were, by what has changed: "teacher", "students", "corpus".
    """
    files = bundle_files(run)
    counts: dict[str, int] = {}
    for path in sorted([*run.results.glob("*.json"), *run.diagnoses.glob("*.json")]):
        try:
            record = read_json(path, dict)
        except FileNotFoundError:
            continue  # Another process evaluates the same run and was quicker.
        if record.get("digests", {}).get("teacher") != teacher_digest:
            what = "teacher"
        elif of_former_students(record, files):
            what = "students"
        elif of_former_corpus(record, corpus):
            what = "corpus"
        else:
            continue
        remove_record(path)
        counts[what] = counts.get(what, 0) + 1
    return counts


def _early_parts(record: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The parts of a record that does not name them: its system is of one bundle, or of many."""
    name = record["system"]["name"].removeprefix(UNTRAINED)
    names = [piece.partition(":")[0] for piece in name.split("+")]
    # The digest of several, or of some layers, is not that of any file.
    digest = record.get("digests", {}).get("bundle") if names == [name] else None
    return [{"bundle": bundle, "digest": digest} for bundle in names]


def _differs(part: Mapping[str, Any], record: Mapping[str, Any], file: Any) -> bool:
    """Whether a part's students are others than those of the configuration there is now."""
    if record["system"]["kind"] == "student":
        digest = part.get("digest")
        return digest is not None and digest != digest_json(file)
    # Before training, students are decided by the seed and their shapes.
    shapes = part.get("shapes")
    if record.get("seed") != file.get("seed"):
        return True
    return shapes is not None and shapes != digest_json(file.get("students"))
