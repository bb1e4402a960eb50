"""Run a trained teacher over the corpus and store what its attention layers read and write."""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedModel

from attnreplace.activations.capture import Capture
from attnreplace.activations.manifest import Manifest
from attnreplace.activations.plan import Shard, plan_shards
from attnreplace.activations.ragged import pack, real_rows
from attnreplace.activations.schema import (
    DTYPES,
    StoreIdentity,
    manifest_path,
    readable_bytes,
    to_storage,
)
from attnreplace.activations.store import ActivationStore
from attnreplace.activations.writer import StoreWriter
from attnreplace.data.batching import encode, pad, token_batches
from attnreplace.errors import UserError
from attnreplace.hosts import Site, host_for
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
    """Sites whose activations are kept: "encoder" (all of it) or single ones, "encoder.self.0"."""
    dtype: str = "float16"
    """Type of the stored values: float16, bfloat16 or float32."""
    batch_tokens: int = 8192
    """Padded tokens in a batch of the teacher."""
    max_train: int | None = None
    """Training sentences, from the first (None: all)."""
    shard_sentences: int = 4096
    """Sentences in a file; a killed extraction repeats at most one file."""

    def __post_init__(self) -> None:
        if not self.sites:
            raise UserError("extract.sites is empty; valid: encoder, or sites as encoder.self.0")
        if self.dtype not in DTYPES:
            raise UserError(f"unknown dtype {self.dtype!r}; valid: {', '.join(DTYPES)}")
        for name in ("batch_tokens", "shard_sentences", "max_train"):
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

    A finished store of the same teacher, data and settings is returned as it is.

    Args:
        overwrite: write anew where a store is already, whatever it was made from.

    Raises:
        UserError: no teacher, a store made from something else while `overwrite` is False, a full
            disk, values that the type cannot hold, sites that cannot be extracted, or no sentence
            that is short enough.
    """
    teacher = load_teacher(run.teacher)
    corpus = run.corpus()
    path = run.activations
    sites = choose_sites(teacher.model, config.sites)
    identity = StoreIdentity(
        teacher_digest=teacher.digest,
        tokenizer_digest=teacher.tokenizer_digest,
        data_digest=corpus.digest,
        sites=tuple(str(site) for site in sites),
        dtype=config.dtype,
        max_length=teacher.max_length,
        max_train=config.max_train,
    )
    manifest = None if overwrite else _existing(path, identity)
    if manifest and path.is_file() and not manifest.broken_shards(path):
        progress.note(f"{path} is already extracted: nothing to do")
        return ActivationStore.open(path)

    sources = {
        "train": corpus.train.head(config.max_train).source,
        "validation": corpus.validation.source,
    }
    ids = {split: encode(teacher.tokenizer, texts) for split, texts in sources.items()}
    lengths = {split: [len(sentence) for sentence in ids[split]] for split in ids}
    plan = plan_shards(
        lengths,
        teacher.max_length,
        manifest.shard_sentences if manifest else config.shard_sentences,
    )
    if not plan.of("train"):
        raise UserError(
            f"no training sentence has at most {teacher.max_length} tokens, the teacher's "
            "max_length; nothing to extract"
        )
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
    writer = StoreWriter(path, manifest, plan)
    _check_room(writer, progress)
    run.update_config(extract=config)
    with writer, capture:
        _run_teacher(teacher.model, capture, writer, ids, config, progress)
    return ActivationStore.open(path)


def choose_sites(model: PreTrainedModel, wanted: Sequence[str]) -> list[Site]:
    """The sites that a configuration names, each once, in the order of the layers.

    Raises:
        UserError: one that cannot be extracted.
    """
    available = [site for site in host_for(model).sites(model) if site.stack == "encoder"]
    chosen: set[Site] = set()
    for text in wanted:
        if text == "encoder":
            chosen.update(available)
        elif text == "decoder" or (site := Site.parse(text)) not in available:
            raise UserError(
                f"cannot extract {text}; available: encoder ({available[0]} to {available[-1]})"
            )
        else:
            chosen.add(site)
    return sorted(chosen)


def _existing(path: Path, identity: StoreIdentity) -> Manifest | None:
    if not path.exists() and not manifest_path(path).exists():
        return None
    manifest = Manifest.load(path)
    wanted = identity.to_json() | {"sites": identity.sites}
    manifest.identity.require(path, wanted)
    return manifest


def _check_room(writer: StoreWriter, progress: Progress) -> None:
    """Say how much will be written and check that it fits on the disk."""
    path, plan = writer.path, writer.plan
    needed = writer.bytes_missing
    progress.note(
        f"activations: {sum(len(shard.lengths) for shard in plan.shards):,} sentences "
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


def _run_teacher(
    model: PreTrainedModel,
    capture: Capture,
    writer: StoreWriter,
    ids: Mapping[str, list[list[int]]],
    config: ExtractConfig,
    progress: Progress,
) -> None:
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model.eval().to(device)
    encoder = model.get_encoder()
    missing = writer.missing
    total, left = _sentences(writer.plan.shards), _sentences(missing)
    with progress.task("extract", total, done=total - left) as task, torch.inference_mode():
        for shard, part in _batches(missing, config.batch_tokens):
            sentences = [ids[shard.split][index] for index in shard.sentence_ids[part]]
            tokens, mask = pad(sentences, model.config.pad_token_id)
            rows = real_rows(mask.bool())  # before the mask leaves for the device: no wait
            encoder(input_ids=tokens.to(device), attention_mask=mask.to(device))
            rows = rows if rows is None else rows.to(device)
            writer.append(shard, storable(capture.tensors, rows, config.dtype))
            task.advance(len(sentences))


def _sentences(shards: Sequence[Shard]) -> int:
    return sum(len(shard.lengths) for shard in shards)


def _batches(shards: Sequence[Shard], batch_tokens: int) -> Iterator[tuple[Shard, slice]]:
    # Sentences of a shard are sorted by length already, so its batches are neighbours in it.
    for shard in shards:
        start = 0
        for batch in token_batches(shard.lengths.tolist(), batch_tokens):
            yield shard, slice(start, start := start + len(batch))


def storable(
    tensors: Mapping[str, Tensor], rows: Tensor | None, dtype: str
) -> dict[str, np.ndarray]:
    """Captured tensors `(batch, seq, d)` as what the store keeps, `(tokens, d)`.

    Args:
        rows: `real_rows` of the padding mask, on the device of the tensors.

    Raises:
        UserError: a value is beyond the range of `dtype`.
    """
    # Cast before choosing rows: half the memory to go through.
    packed = {name: pack(values.to(DTYPES[dtype]), rows) for name, values in tensors.items()}
    # What the type cannot hold is infinite now. One pass over the memory finds both ends, and
    # there is one wait for the device for all tensors.
    ends = torch.stack([torch.stack(torch.aminmax(values)) for values in packed.values()])
    for name, finite in zip(packed, ends.isfinite().all(dim=1).tolist(), strict=True):
        if not finite:
            _refuse(name, float(pack(tensors[name], rows).abs().max()), dtype)
    return {name: to_storage(values.cpu().contiguous()) for name, values in packed.items()}


def _refuse(name: str, largest: float, dtype: str) -> None:
    if np.isfinite(largest):
        raise UserError(
            f"{name} reaches {largest:.3g}, beyond the range of {dtype}; "
            "use --dtype bfloat16 or float32"
        )
    raise UserError(f"{name} is not finite: the teacher is broken; train it anew")
