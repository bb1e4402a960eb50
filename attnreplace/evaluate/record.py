"""The result record: one JSON file an evaluation, complete enough to be reproduced and compared.

Records hold no text of a corpus, so that they can be published; hypotheses lie beside them in
`<stem>.translations.jsonl`, one `{"source", "reference", "hypothesis"}` a line.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal, NotRequired, TypedDict

from attnreplace.digest import digest_json, short
from attnreplace.evaluate.bleu import Scores
from attnreplace.rundir import read_json, write_json, write_text

SCHEMA = "attnreplace.result/1"

Kind = Literal["teacher", "removed", "untrained", "student"]

LONGEST_NAME = 120
"""Characters of a system's name in the names of its files; file systems allow 255 in all."""


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
    """The teacher; the teacher with attention removed; students as they were initialised, never
    trained; trained students."""
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
    """Where attention was replaced or removed; empty for the teacher."""
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
    """Tokens of a source sentence, `</s>` included."""
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
    """The encoder's forward pass."""
    generate: Timing
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
    """What a system costs, measured once, on sentences of `source_tokens` tokens."""

    parameters: Parameters
    flops_per_token: float
    """Encoder, per source token: matrix products only, a multiply-add is two operations."""
    decoder_flops_per_token: float
    """Decoder (teacher-forced, output projection excluded), per token, same length."""
    source_tokens: int
    new_tokens: int
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
    """One system on one test set at one beam width."""

    schema: str
    system: System
    pair: str
    test_set: str
    sentences: int
    decoding: Decoding
    scores: Scores
    cost: Cost | None
    """None where it was not asked for."""
    relative_mse: dict[str, float] | None
    """Of the students on the validation split, by site."""
    recipe: Any
    seed: int | None
    digests: Digests
    inputs_digest: str
    """Digest of all that decides the result; equal: the record need not be made again."""
    versions: dict[str, str]
    created: str
    """ISO 8601, UTC."""


def record_path(results: Path, system: str, test_set: str, beam: int) -> Path:
    """Where a record lies: a long name is cut and told apart by its digest."""
    # Some file systems have no colons.
    name = system.replace(":", "@")
    if len(name) > LONGEST_NAME:
        name = f"{name[:LONGEST_NAME]}-{short(digest_json(system))}"
    return results / f"{name}.{test_set}.beam{beam}.json"


def translations_path(record: Path) -> Path:
    """Where the translations of a record lie."""
    return record.with_suffix(".translations.jsonl")


def write_record(path: Path, record: Record, lines: Iterable[tuple[str, str, str]]) -> None:
    """Write a record and its translations, each whole or not at all, the record last.

    Args:
        path: the record's.
        record: the record.
        lines: source, reference and hypothesis of each sentence.
    """
    names = ("source", "reference", "hypothesis")
    texts = [json.dumps(dict(zip(names, line, strict=True)), ensure_ascii=False) for line in lines]
    write_text(translations_path(path), "".join(f"{text}\n" for text in texts))
    write_json(path, record)


def finished(path: Path, inputs_digest: str) -> Record | None:
    """The record at `path` if it was made from the same inputs and is complete, else None."""
    if not path.is_file() or not translations_path(path).is_file():
        return None
    record: Record = read_json(path)
    return record if record.get("inputs_digest") == inputs_digest else None
