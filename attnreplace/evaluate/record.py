"""The result record: one JSON file an evaluation, complete enough to be reproduced and compared.

Records hold no text of a corpus, so that they can be published. What a system made of every example
lies beside them: for translation in `<stem>.translations.jsonl`, one `{"source", "reference",
"hypothesis"}` a line; for other tasks in `<stem>.predictions.jsonl`.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, NotRequired, TypedDict

from attnreplace.digest import digest_json, short
from attnreplace.rundir import read_json, write_json, write_text

SCHEMA = "attnreplace.result/1"

Kind = Literal["teacher", "tuned", "scratch", "removed", "untrained", "student"]

TRANSLATIONS, PREDICTIONS = "translations", "predictions"
"""What lies beside a record."""

LONGEST_NAME = 120
"""Characters of a system's name in the names of its files; file systems allow 255 in all."""


class Score(TypedDict):
    """A score of a whole test set."""

    score: float
    signature: NotRequired[str]
    """What is needed to reproduce it; absent where the name of the score says all."""


class Significance(TypedDict):
    """Whether BLEU differs from the teacher's by more than the choice of sentences would."""

    p: float
    """How likely chance alone makes so large a difference, by paired bootstrap resampling."""
    signature: str
    teacher: str
    """The teacher's record, by the digest of its inputs."""


class Part(TypedDict):
    """A bundle, or some layers of one, in a system."""

    bundle: str
    """Its name in the run."""
    method: str
    family: str
    size: str
    group: str
    """"encoder", "decoder" or "cross"."""
    form: str
    """How the students read: "sentence", "prefix", "per-query" or "paper"."""
    hidden_layers: int
    sites: list[str]
    digest: str | None
    """Of the bundle's configuration; None for students that were not trained."""
    shapes: NotRequired[str]
    """Of students that were not trained: digest of their shapes. Early records lack it."""


class System(TypedDict):
    """What was evaluated."""

    kind: Kind
    """The teacher; the teacher as it was tuned, with all its attention; a model that another run
    trained from scratch; the teacher with attention removed; students as they were initialised,
    never trained; trained students."""
    name: str
    """Unique in the run: "teacher", "removed", "alrr-m", "untrained-alrr-m",
    "alr-m+alr-m-decoder:0-2"."""
    label: str
    """For people: "ALRR-M"."""
    method: str | None
    """None where it does not apply, or where the parts differ; so are family and size."""
    family: str | None
    size: str | None
    sites: list[str]
    """Where attention was replaced or removed; empty for the teacher, tuned or not."""
    variant: NotRequired[str]
    """What sets it apart from the plain students of its method and size at these sites: "2 hidden
    layers, non-causal". Early records lack it."""
    groups: NotRequired[list[str]]
    """Groups of these sites: "encoder", "decoder", "cross". Early records lack it."""
    parts: NotRequired[list[Part]]
    """The students; none for the teacher and for attention removed. Early records lack it."""


class OverLong(TypedDict):
    """Sentences over a limit."""

    policy: str
    limit: int
    """Tokens of a text or source sentence, `</s>` included."""
    count: int
    """Source sentences over it."""
    target_limit: NotRequired[int]
    """Tokens of a translation, `</s>` included; only of systems with students in the decoder."""
    targets: NotRequired[int]
    """Translations that had not ended there although they may be longer."""


class Decoding(TypedDict):
    """How hypotheses were searched for."""

    beam: int
    max_new_tokens: str
    """The rule, in words."""
    over_long: OverLong


class Parameters(TypedDict):
    """Counts; parameters that are used twice count once."""

    model: int
    """The whole model as it was evaluated."""
    replaced: int
    """The teacher's parameters that are not in it any more."""
    replacement: int
    """The students' parameters."""


class Timing(TypedDict):
    """Wall-clock seconds of one call, over `runs` calls after a warm-up."""

    median_s: float
    min_s: float
    max_s: float
    runs: int


class BatchLatency(TypedDict):
    """Latency of one batch."""

    encoder: Timing
    """The encoder's forward pass, without any head."""
    generate: NotRequired[Timing]
    """A whole greedy translation of `new_tokens` tokens."""


class Latency(TypedDict):
    """Latency by batch size."""

    batch_1: BatchLatency
    batch_64: BatchLatency


class Memory(TypedDict):
    """Bytes."""

    parameters: int
    """Parameters and buffers."""
    batch_1: int
    """Peak of what an encoder forward pass of one sentence allocates beyond the above."""
    batch_64: int
    state_batch_1: NotRequired[int]
    """What generation keeps from step to step, after `new_tokens` tokens of one sentence."""
    state_batch_64: NotRequired[int]


class Cost(TypedDict):
    """What a system costs, measured once, on examples of `source_tokens` tokens each.

    What has to do with decoding is absent where there is no decoder.
    """

    parameters: Parameters
    flops_per_token: float
    """Encoder, per source token: matrix products only, a multiply-add is two operations."""
    decoder_flops_per_token: NotRequired[float]
    """Decoder (teacher-forced, output projection excluded), per token, same length."""
    source_tokens: int
    """Of an image its patches and what is put before them."""
    new_tokens: NotRequired[int]
    latency: Latency
    memory: Memory
    device: str
    threads: int


class Digests(TypedDict):
    """SHA-256 of what went in."""

    teacher: str
    tokenizer: str
    data: str
    """The corpus."""
    test_set: str
    bundle: str | None
    """None where nothing trained was put in."""


class Record(TypedDict):
    """One system on one test set, scored in one way: in translation at one beam width."""

    schema: str
    task: NotRequired[str]
    """What the system does; absent: translation."""
    system: System
    pair: NotRequired[str]
    """The languages of a translation; absent in other tasks, and so is `decoding`."""
    test_set: str
    sentences: int
    """Examples in the test set: sentences, blocks of text or images."""
    decoding: NotRequired[Decoding]
    over_long: NotRequired[OverLong]
    """Of tasks without decoding, where texts may be cut off."""
    metric: NotRequired[str]
    """Which of the scores systems are compared by; absent: "bleu"."""
    scores: dict[str, Score]
    significance: NotRequired[Significance]
    """Of translations, the teacher's own apart; early records lack it."""
    cost: Cost | None
    """None where it was not asked for."""
    relative_mse: dict[str, float] | None
    """Of the students on the validation split, by site."""
    recipe: Any
    seed: int | None
    """Of the students, or, where it is not 0, of their tuning; None where there is no one seed.
    Early records of tuned systems have that of the tuning whatever it is."""
    digests: Digests
    inputs_digest: str
    """Digest of all that decides the result; equal: the record need not be made again."""
    versions: dict[str, str]
    created: str
    """ISO 8601, UTC."""


def record_path(results: Path, system: str, test_set: str, setting: str) -> Path:
    """Where a record lies: a long name is cut and told apart by its digest.

    Args:
        results: the folder.
        system: the system's name.
        test_set: the test set's.
        setting: how it was scored, "beam5", "accuracy".
    """
    # Some file systems have no colons; "tuned/alr-m" is in no folder of its own.
    name = system.replace(":", "@").replace("/", ".")
    if len(name) > LONGEST_NAME:
        name = f"{name[:LONGEST_NAME]}-{short(digest_json(system))}"
    return results / f"{name}.{test_set}.{setting}.json"


def examples_path(record: Path, what: str = TRANSLATIONS) -> Path:
    """Where that lies which a system made of every example."""
    return record.with_suffix(f".{what}.jsonl")


def read_examples(record: Path) -> list[dict[str, Any]]:
    """A system's translation of every sentence, as `write_record` wrote it.

    Raises:
        OSError: it is not there.
        ValueError: a line is broken.
    """
    lines = examples_path(record).read_text(encoding="utf-8").split("\n")
    return [json.loads(line) for line in lines[:-1]]


def write_record(
    path: Path, record: Record, lines: Iterable[Mapping[str, Any]], what: str = TRANSLATIONS
) -> None:
    """Write a record and what lies beside it, each whole or not at all, the record last.

    Args:
        path: the record's.
        record: the record.
        lines: what the system made of each example.
        what: `TRANSLATIONS` or `PREDICTIONS`.
    """
    texts = [json.dumps(line, ensure_ascii=False) for line in lines]
    write_text(examples_path(path, what), "".join(f"{text}\n" for text in texts))
    write_json(path, record)


def finished(path: Path, inputs_digests: set[str], what: str = TRANSLATIONS) -> Record | None:
    """The record at `path` if it was made from one of these inputs and is complete, else None."""
    beside = examples_path(path, what)
    if not path.is_file() or not beside.is_file():
        return None
    record: Record = read_json(path, dict)
    same = record.get("inputs_digest") in inputs_digests
    return record if same and _lines(beside) == record["sentences"] else None


def remove_record(path: Path) -> None:
    """Remove a record and what lies beside it; another process may have been quicker."""
    for file in (path, *(examples_path(path, what) for what in (TRANSLATIONS, PREDICTIONS))):
        file.unlink(missing_ok=True)


def _lines(path: Path) -> int:
    return path.read_bytes().count(b"\n")
