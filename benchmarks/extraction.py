"""Extraction against a bare forward pass, in time and bytes.

The bare pass has its model, its token ids and its batches ready. Extraction starts from files and
ends with a store that is on the disk and checked.
"""

import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import get_args

import torch

from attnreplace.activations.extract import ExtractConfig, extract
from attnreplace.activations.schema import manifest_path, shard_folder
from attnreplace.activations.store import ActivationStore
from attnreplace.data.batching import encode, pad, token_batches
from attnreplace.data.corpus import Corpus
from attnreplace.hosts.base import Axis
from attnreplace.rundir import RunDir
from attnreplace.teacher.build import TeacherConfig
from attnreplace.teacher.load import load_teacher
from benchmarks.material import untrained_run
from benchmarks.measure import Row, in_turn

TIME, BYTES = 1.25, 1.03
"""What is wanted at most: time over the bare pass, bytes over the tensors' own."""
CASES = {"encoder": ["encoder"], "all sites": ["all"]}


def run(folder: Path, seconds: float = 20.0, pairs: int = 1500, preset: str = "paper") -> list[Row]:
    """Compare for the encoder's sites and for all.

    Args:
        folder: where to work.
        seconds: time for each case, about.
        pairs: training pairs.
        preset: the teacher's shape.
    """
    run_dir = untrained_run(folder / f"extraction-{preset}-{pairs}", pairs, preset=preset)
    rows = []
    for case, sites in CASES.items():
        config = ExtractConfig(sites=sites)
        bare = bare_pass(run_dir, config, decoder=sites != ["encoder"])
        bare_seconds, our_seconds = in_turn(
            bare,
            partial(extract, run_dir, config),
            seconds=seconds,
            before=lambda: _remove(run_dir.activations),
        )
        store = ActivationStore.open(run_dir.activations)
        tokens = {axis: _tokens(store, axis) for axis in get_args(Axis)}
        about = {"pairs": sum(map(store.sentences, store.splits)), "tokens": tokens}
        rows.append(
            Row(
                benchmark="extraction",
                case=case,
                baseline="forward pass",
                ours="extraction",
                baseline_values=bare_seconds,
                our_values=our_seconds,
                at_most=TIME,
                extra=about,
            )
        )
        rows.append(
            Row(
                benchmark="extraction",
                case=f"{case}, bytes",
                baseline="unique tensors in float16",
                ours="files",
                baseline_values=[float(unique_bytes(run_dir, tokens, sites))],
                our_values=[float(bytes_on_disk(run_dir.activations))],
                unit="B",
                at_most=BYTES,
                extra=about,
            )
        )
    return rows


def bare_pass(run: RunDir, config: ExtractConfig, *, decoder: bool) -> Callable[[], None]:
    """The forward pass alone, over the sentences that extraction keeps.

    Args:
        run: with a teacher.
        config: gives the size of the batches.
        decoder: whether the decoder runs as well.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    teacher, corpus = load_teacher(run.teacher), run.corpus()
    assert isinstance(corpus, Corpus)
    model = teacher.model.to(device)  # type: ignore[arg-type]
    pad_id, start = model.config.pad_token_id, model.config.decoder_start_token_id
    batches = []
    for split in (corpus.train, corpus.validation):
        sources, targets = (encode(teacher.tokenizer, s) for s in (split.source, split.target))
        kept = [p for p in zip(sources, targets, strict=True) if _longer(p) <= teacher.max_length]
        for batch in token_batches([_longer(pair) for pair in kept], config.batch_tokens):
            ids, mask = pad([kept[index][0] for index in batch], pad_id)
            inputs, _ = pad([[start, *kept[index][1][:-1]] for index in batch], pad_id)
            batches.append((ids.to(device), mask.to(device), inputs.to(device)))

    @torch.inference_mode()
    def forward() -> None:
        for ids, mask, inputs in batches:
            memory = model.get_encoder()(input_ids=ids, attention_mask=mask).last_hidden_state
            if decoder:
                model.get_decoder()(
                    input_ids=inputs,
                    encoder_hidden_states=memory,
                    encoder_attention_mask=mask,
                    use_cache=False,
                )

    return forward


def unique_bytes(run: RunDir, tokens: dict[str, int], sites: list[str]) -> int:
    """Bytes of the tensors in float16, each once, counted from the teacher's shape alone.

    A pre-LN encoder of L layers has L + 1 streams (what enters each layer, what leaves the last)
    and L times the heads; a decoder for each of its two attentions L streams and L times the heads;
    and there is the memory.
    """
    shape = run.config().teacher
    assert isinstance(shape, TeacherConfig)
    rows = tokens["source"] * (2 * shape.encoder_layers + 1)
    if sites == ["all"]:
        rows += tokens["source"] + tokens["target"] * 4 * shape.decoder_layers
    return rows * shape.d_model * torch.float16.itemsize


def bytes_on_disk(path: Path) -> int:
    """Bytes of all files of a store."""
    files = [path, *shard_folder(path).iterdir()]
    return sum(file.stat().st_size for file in files)


def _tokens(store: ActivationStore, axis: Axis) -> int:
    return sum(int(store.lengths(split, axis).sum()) for split in store.splits)


def _longer(pair: tuple[list[int], list[int]]) -> int:
    return max(map(len, pair))


def _remove(path: Path) -> None:
    if manifest_path(path).exists():
        shutil.rmtree(shard_folder(path))
        path.unlink(missing_ok=True)
