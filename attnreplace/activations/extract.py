"""Run a trained teacher over the corpus and store what its attention layers read and write."""

import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import torch
from accelerate import PartialState

from attnreplace.activations.capture import Capture
from attnreplace.activations.inputs import Inputs, identify, plan_inputs, read_corpus
from attnreplace.activations.manifest import Manifest
from attnreplace.activations.schema import (
    DTYPES,
    StoreIdentity,
    manifest_path,
    readable_bytes,
)
from attnreplace.activations.sites import choose_sites
from attnreplace.activations.store import ActivationStore
from attnreplace.activations.teacher_pass import run_teacher
from attnreplace.activations.writer import StoreWriter
from attnreplace.errors import UserError
from attnreplace.progress import NullProgress, Progress
from attnreplace.rundir import RunDir
from attnreplace.teacher.load import load_teacher
from attnreplace.versions import versions

MARGIN = 1.05
"""Free space asked for, as a multiple of the store's size."""


@dataclass(frozen=True)
class ExtractConfig:
    """What to store, and how."""

    sites: list[str] = field(default_factory=lambda: ["encoder"])
    """Sites whose activations are kept: "encoder", "decoder" (its self-attention), "cross" (its
    cross-attention), "all", or single ones, "encoder.self.0". Models without a decoder have the
    encoder alone."""
    layers: str = ""
    """Layers of those groups, as "0,2-5"; empty for all of them."""
    dtype: str = "float16"
    """Type of the stored values: float16, bfloat16 or float32."""
    batch_tokens: int = 8192
    """Padded tokens in a batch of the teacher, on the longer side."""
    max_length: int | None = None
    """Longest line in tokens, and students' positions (None: the teacher's max_length). Longer
    pairs are left out; text is cut."""
    max_train: int | None = None
    """Training pairs, texts or images, from the first (None: all)."""
    shard_sentences: int = 4096
    """Pairs, blocks or images in a file; a killed extraction repeats at most one file."""

    def __post_init__(self) -> None:
        if not self.sites:
            raise UserError(
                "extract.sites is empty; valid: encoder, decoder, cross, all, or sites as "
                "encoder.self.0"
            )
        if self.dtype not in DTYPES:
            raise UserError(f"unknown dtype {self.dtype!r}; valid: {', '.join(DTYPES)}")
        for name in ("batch_tokens", "shard_sentences", "max_length", "max_train"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise UserError(f"extract.{name} must be at least 1; got {value}")


def extract(
    run: RunDir,
    config: ExtractConfig,
    *,
    overwrite: bool = False,
    progress: Progress = NullProgress(),  # noqa: B008
) -> ActivationStore:
    """Write the activation store of a run, or go on with one that was interrupted.

    A finished store of the same teacher, data and settings is returned as it is. Where only sites
    of the encoder are wanted, only the encoder runs; else the decoder reads the references.
    Under `accelerate launch` or `torchrun` the processes share the shards between them; all need
    to see the run's directory, and any number of them can go on with the store.

    Args:
        overwrite: write anew where the store that is there was made from something else.

    Raises:
        UserError: no teacher, or one of another task or other languages, a store made from
            something else while `overwrite` is False, a full disk, values that the type cannot
            hold, sites that the teacher does not have, or no line that is short enough.
    """
    teacher = load_teacher(run.teacher)
    corpus = run.corpus()
    teacher.require_corpus(corpus)
    path = run.activations
    sites = choose_sites(teacher.model, config.sites, config.layers)
    identity = identify(teacher, corpus, sites, config.dtype, config.max_length, config.max_train)
    manifest = _existing(path, identity, overwrite)
    if manifest and path.is_file() and not manifest.broken_shards(path):
        progress.note(f"{path} is already extracted: nothing to do")
        return ActivationStore.open(path)

    inputs = read_corpus(teacher, corpus, identity.max_length, config.max_train)
    shard_sentences = manifest.shard_sentences if manifest else config.shard_sentences
    plan = plan_inputs(inputs, identity.max_length, shard_sentences)
    # Said outright: left to itself, accelerate takes several processes on CPUs for one each.
    state = PartialState(cpu=not torch.accelerator.is_available())
    if not state.is_main_process:
        progress = NullProgress()
    capture = Capture(teacher.model, sites)
    if manifest is None:
        manifest = Manifest(
            identity=identity,
            widths=capture.widths,
            shard_sentences=config.shard_sentences,
            num_shards=len(plan.shards),
            dropped=plan.dropped,
            versions=versions(),
            created=datetime.now(UTC).isoformat(timespec="seconds"),
        )
    writer = StoreWriter(path, manifest, plan, rank=state.process_index, ranks=state.num_processes)
    _check_room(writer, inputs, progress)
    state.wait_for_everyone()
    if state.is_main_process:
        run.update_config(extract=config)
    with _first(state, writer), capture:
        run_teacher(
            teacher.model, capture, writer, inputs, config.batch_tokens, state.device, progress
        )
        writer.flush()
        state.wait_for_everyone()
        if state.is_main_process:
            writer.take_up()
    state.wait_for_everyone()
    return ActivationStore.open(path)


@contextmanager
def _first(state: PartialState, writer: StoreWriter) -> Iterator[None]:
    """Open the writer, in the first process before the others."""
    with ExitStack() as stack:
        if state.is_main_process:
            stack.enter_context(writer)
        state.wait_for_everyone()
        if not state.is_main_process:
            stack.enter_context(writer)
        yield


def _existing(path: Path, identity: StoreIdentity, overwrite: bool) -> Manifest | None:
    """The manifest of a store to keep or to go on with."""
    if not path.exists() and not manifest_path(path).exists():
        return None
    try:
        manifest = Manifest.load(path)
        manifest.identity.require(path, identity.to_json() | {"sites": identity.sites})
    except UserError:
        if overwrite:
            return None
        raise
    return manifest


def _check_room(writer: StoreWriter, inputs: Inputs, progress: Progress) -> None:
    """Say how much will be written and check that it fits on the disk."""
    path, plan = writer.path, writer.plan
    needed = writer.bytes_missing
    progress.note(
        f"activations: {sum(len(shard.sentence_ids) for shard in plan.shards):,} {inputs.line}s "
        f"({sum(plan.dropped.values()):,} over the length limit left out), "
        f"{len(writer.manifest.widths)} tensors, {readable_bytes(needed)} to write"
    )
    free = shutil.disk_usage(path.parent).free
    free += sum(file.stat().st_size for file in writer.strays)  # removed before the first write
    if free < needed * MARGIN:
        raise UserError(
            f"the disk of {path} has {readable_bytes(free)} free, the activations need "
            f"{readable_bytes(int(needed * MARGIN))}; free some space, or store less with "
            "--max-train or fewer sites"
        )
