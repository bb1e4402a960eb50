"""Memory of reading: bounded by what was asked for, whatever is read."""

import sys
from itertools import zip_longest
from typing import Any

import pytest
import torch

from attnreplace.activations.store import ActivationStore
from attnreplace.errors import UserError
from benchmarks.reader import rise

MEGABYTES = 16
PAIRS, WIDTH, TENSORS = 1600, 256, 14
BATCHES: dict[str, Any] = {"batch_tokens": 128, "seed": 5, "epoch": 1}


@pytest.fixture
def large(samples: Any) -> Any:
    """A store of more than four times the memory that its reader may take."""
    samples.widths = {f"encoder.self.heads.{index}": WIDTH for index in range(TENSORS - 1)}
    samples.widths["decoder.self.heads.0"] = WIDTH
    samples.names = list(samples.widths)
    generator = torch.Generator().manual_seed(0)
    sides = torch.randint(5, 9, (2, PAIRS), generator=generator).tolist()
    lengths = {"train": dict(zip(("source", "target"), sides, strict=True))}
    with samples.writer(lengths, shard_sentences=300) as writer:
        for shard in writer.missing:
            writer.append(
                shard,
                {
                    name: torch.randn(
                        shard.tokens["target" if name.startswith("decoder") else "source"],
                        WIDTH,
                        generator=generator,
                    )
                    .half()
                    .numpy()
                    for name in samples.names
                },
            )
    assert ActivationStore.open(samples.path).nbytes > 4 * MEGABYTES * 10**6
    return samples


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
@pytest.mark.parametrize("tensors", [2, TENSORS])
def test_an_epoch_takes_no_more_memory_than_it_may(large: Any, tensors: int) -> None:
    store = ActivationStore.open(large.path, read_megabytes=MEGABYTES)

    def read() -> None:
        for _ in store.batches("train", large.names[-tensors:], **BATCHES):
            pass

    read()  # what is loaded at a first use is not the reader's
    peak = rise(read)
    assert peak < MEGABYTES * 10**6
    assert peak > MEGABYTES * 10**6 / 4, "the memory that may be taken is not made use of"


@pytest.mark.parametrize("skip", [0, 37])
def test_memory_does_not_change_the_batches(large: Any, skip: int) -> None:
    free, tight = (
        ActivationStore.open(large.path, read_megabytes=megabytes).batches(
            "train", large.names, **BATCHES, skip=skip
        )
        for megabytes in (None, MEGABYTES)
    )
    count = 0
    for found, wanted in zip_longest(tight, free):
        for axis in ("source", "target"):
            assert torch.equal(found.lengths[axis], wanted.lengths[axis])
        for name in large.names:
            assert torch.equal(found.tensors[name], wanted.tensors[name])
        count += 1
    assert count > 20


def test_batches_that_do_not_fit_are_refused_at_once(large: Any) -> None:
    store = ActivationStore.open(large.path, read_megabytes=MEGABYTES)
    message = r"read_megabytes is 16, but to read batches of 1000 tokens of 14 tensors takes 51;"
    with pytest.raises(UserError, match=message):
        store.batches("train", large.names, batch_tokens=1000, seed=1)
    # One tensor alone fits; and unasked, memory is no reason to refuse.
    store.batches("train", large.names[:1], batch_tokens=1000, seed=1)
    ActivationStore.open(large.path).batches("train", large.names, batch_tokens=10**6, seed=1)
