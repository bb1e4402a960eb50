import dataclasses
import json
import os
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from attnreplace.activations import layout as layout_module
from attnreplace.activations.schema import DTYPES, manifest_path, shard_folder
from attnreplace.activations.store import ActivationStore
from attnreplace.errors import UserError
from attnreplace.hosts import axis_of


def by_line(samples: Any, store: ActivationStore, **arguments: Any) -> list[list[int]]:
    """Lines of the sentences in each batch, told by their values, which are checked."""
    dtype = store.identity.dtype
    batches = []
    for batch in store.batches("train", samples.names, **arguments):
        lengths = {name: batch.lengths[axis_of(name)].tolist() for name in samples.names}
        parts = {name: batch.tensors[name].split(lengths[name]) for name in samples.names}
        lines = []
        for position in range(len(batch.lengths["source"])):
            (line,) = (
                line
                for line in store.sentence_ids("train").tolist()
                if all(
                    torch.equal(
                        parts[name][position],
                        samples.sentence(
                            "train", line, lengths[name][position], name, dtype
                        ).float(),
                    )
                    for name in samples.names
                )
            )
            lines.append(line)
        batches.append(lines)
    return batches


@pytest.mark.parametrize("dtype", list(DTYPES))
@pytest.mark.parametrize("seed", [None, 3])
def test_batches_hold_what_was_written(samples: Any, dtype: str, seed: int | None) -> None:
    store = samples.store(dtype=dtype)
    batches = by_line(samples, store, batch_tokens=12, seed=seed)
    assert sorted(line for batch in batches for line in batch) == samples.kept("train")
    if seed is None:
        assert [line for batch in batches for line in batch] == store.sentence_ids("train").tolist()


def test_batches_are_float32_in_memory_of_their_own(samples: Any) -> None:
    store = samples.store(dtype="float32")
    first, second = [
        next(store.batches("train", samples.names, batch_tokens=99, seed=1)) for _ in range(2)
    ]
    for name in samples.names:
        assert first.tensors[name].dtype == torch.float32
        rows = 31 if name.startswith("decoder") else 30
        assert first.tensors[name].shape == (rows, samples.widths[name])
        first.tensors[name].zero_()
        assert second.tensors[name].any()


@given(
    pairs=st.lists(st.tuples(st.integers(1, 8), st.integers(1, 8)), min_size=1, max_size=30),
    shard=st.integers(1, 9),
    buffer=st.integers(1, 40),
    tokens=st.integers(8, 40),
    seed=st.none() | st.integers(0, 3),
)
@settings(
    deadline=None,
    max_examples=15,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_an_epoch_gives_each_sentence_once(
    samples: Any,
    monkeypatch: Any,
    pairs: list[tuple[int, int]],
    shard: int,
    buffer: int,
    tokens: int,
    seed: int | None,
) -> None:
    monkeypatch.setattr(layout_module, "BUFFER_SENTENCES", buffer)
    source, target = map(list, zip(*pairs, strict=True))
    lengths = {"train": {"source": source, "target": target}}
    store = samples.store(lengths=lengths, shard_sentences=shard)
    batches = by_line(samples, store, batch_tokens=tokens, seed=seed)
    assert sorted(line for batch in batches for line in batch) == list(range(len(pairs)))
    assert all(sum(max(pairs[line]) for line in batch) <= tokens for batch in batches)
    assert store.num_batches("train", batch_tokens=tokens, seed=seed) == len(batches)


@pytest.mark.parametrize("buffer", [3, 5, 100])
@pytest.mark.parametrize("seed", [None, 7])
def test_skip_leaves_the_rest_as_it_was(
    samples: Any, monkeypatch: Any, buffer: int, seed: int | None
) -> None:
    monkeypatch.setattr(layout_module, "BUFFER_SENTENCES", buffer)
    store = samples.store()
    arguments = {"batch_tokens": 9, "seed": seed, "epoch": 2}
    whole = by_line(samples, store, **arguments)
    assert len(whole) > 4
    for skip in range(len(whole) + 2):
        assert by_line(samples, store, **arguments, skip=skip) == whole[skip:]


def test_order_does_not_depend_on_the_tensors_asked_for(samples: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(layout_module, "BUFFER_BYTES", 200)
    store = samples.store()
    orders = [
        [
            batch.lengths["source"].tolist()
            for batch in store.batches("train", names, batch_tokens=9, seed=1)
        ]
        for names in (samples.names, samples.names[:1])
    ]
    assert orders[0] == orders[1]


def test_order_does_not_depend_on_the_tensors_that_are_stored(
    samples: Any, monkeypatch: Any
) -> None:
    monkeypatch.setattr(layout_module, "BUFFER_BYTES", 200)

    def lines() -> list[list[int]]:
        return by_line(samples, samples.store(), batch_tokens=9, seed=1)

    of_all = lines()
    samples.names = [name for name in samples.names if name.startswith("encoder")]
    samples.widths = {name: samples.widths[name] for name in samples.names}
    assert lines() == of_all


def test_skipped_buffers_are_not_read(samples: Any) -> None:
    store = samples.store()
    count = store.num_batches("train", batch_tokens=9, seed=1)
    for path in shard_folder(store.path).glob("shard-*"):
        path.unlink()
    batches = store.batches("train", samples.names, batch_tokens=9, seed=1, skip=count)
    assert list(batches) == []


def test_a_store_can_be_sent_to_a_worker(samples: Any) -> None:
    store = samples.store()
    sent = pickle.loads(pickle.dumps(store))
    arguments = {"batch_tokens": 9, "seed": 1}
    assert by_line(samples, sent, **arguments) == by_line(samples, store, **arguments)


def test_what_the_store_says_of_itself(samples: Any) -> None:
    store = samples.store()
    assert store.identity == samples.identity()
    assert store.splits == ["train", "validation"]
    assert store.names == samples.names
    assert (store.sentences("train"), store.tokens("train")) == (9, 30)
    assert (store.sentences("validation"), store.tokens("validation")) == (3, 12)
    assert (store.tokens("train", "target"), store.tokens("validation", "target")) == (31, 9)
    assert store.nbytes == (30 + 12) * (4 + 6) * 2 + (31 + 9) * 5 * 2
    assert store.longest == 8
    ids = store.sentence_ids("train")
    for axis, wanted in samples.lengths["train"].items():
        lengths = store.lengths("train", axis)
        assert lengths.dtype == ids.dtype == torch.int64
        assert lengths.tolist() == [wanted[line] for line in ids]
    assert json.loads(json.dumps(store.describe())) == {
        "path": str(samples.path),
        "identity": samples.identity().to_json(),
        "splits": {
            "train": {
                "sentences": 9,
                "tokens": {"source": 30, "target": 31},
                "longest": {"source": 7, "target": 8},
                "dropped": 2,
            },
            "validation": {
                "sentences": 3,
                "tokens": {"source": 12, "target": 9},
                "longest": {"source": 6, "target": 4},
                "dropped": 0,
            },
        },
        "tensors": {
            "encoder.hidden_states.0": {"train": [30, 4], "validation": [12, 4]},
            "encoder.self.heads.0": {"train": [30, 6], "validation": [12, 6]},
            "decoder.self.heads.0": {"train": [31, 5], "validation": [9, 5]},
        },
        "bytes": 1240,
        "shards": 4,
        "versions": {"torch": torch.__version__},
        "created": "2025-01-01T00:00:00+00:00",
    }


def test_no_store(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no activation store at .*; run `attnreplace extract`"):
        ActivationStore.open(tmp_path / "activations.h5")


def test_identity_names_both_sides(samples: Any) -> None:
    samples.store()
    ActivationStore.open(samples.path, expect=samples.identity())
    other = dataclasses.replace(
        samples.identity(), teacher_digest="d" * 64, sites=("encoder.self.0", "encoder.self.1")
    )
    with pytest.raises(UserError) as caught:
        ActivationStore.open(samples.path, expect=other)
    message = str(caught.value)
    assert f"teacher_digest {'a' * 12} in the store, {'d' * 12} wanted" in message
    assert "sites [decoder.self.0, encoder.self.0] in the store, [encoder.self.0, enc" in message
    assert "tokenizer_digest" not in message
    assert "`attnreplace extract --overwrite`" in message
    assert "\n" not in message


def test_require_looks_at_the_fields_it_is_given(samples: Any) -> None:
    store = samples.store()
    store.require(teacher_digest="a" * 64, max_length=8)
    with pytest.raises(UserError, match="max_length 8 in the store, 9 wanted"):
        store.require(teacher_digest="a" * 64, max_length=9)


def test_unknown_names_list_the_valid_ones(samples: Any) -> None:
    store = samples.store()
    with pytest.raises(UserError, match=r"no encoder\.x; it has: encoder.hidden_states.0, enc"):
        store.batches("train", ["encoder.x"], batch_tokens=9, seed=None)
    with pytest.raises(UserError, match="no split 'test'; it has: train, validation"):
        store.lengths("test")


def test_too_small_batches_are_refused_at_once(samples: Any) -> None:
    store = samples.store()
    with pytest.raises(UserError, match="batch_tokens is 5"):
        store.batches("train", samples.names, batch_tokens=5, seed=None)


def test_verify_finds_a_changed_byte(samples: Any) -> None:
    store = samples.store()
    store.verify()
    path = shard_folder(store.path) / "shard-00001.h5"
    values = samples.sentence("train", 5, 5, samples.names[0])
    data = path.read_bytes()
    at = data.index(values.numpy().tobytes())
    path.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
    with pytest.raises(UserError, match=r"shard-00001.h5 is damaged \(the checksum of encoder.h"):
        ActivationStore.open(samples.path).verify()
    found = []
    for rank in range(2):
        try:
            ActivationStore.open(samples.path).verify(rank=rank, ranks=2)
        except UserError:
            found.append(rank)
    assert found == [1], "the second shard is the second process' share"


@pytest.mark.parametrize("kept", [0, 100, -1])
def test_a_truncated_shard_is_named(samples: Any, kept: int) -> None:
    store = samples.store()
    path = shard_folder(store.path) / "shard-00001.h5"
    os.truncate(path, kept % path.stat().st_size)
    with pytest.raises(UserError, match=r"shard-00001.h5 is damaged .*`attnreplace extract`"):
        ActivationStore.open(samples.path)
    with pytest.raises(UserError, match=r"shard-00001.h5 is damaged"):
        list(store.batches("train", samples.names, batch_tokens=9, seed=1))
    with pytest.raises(UserError, match=r"shard-00001.h5 is damaged"):
        store.verify()


def test_a_missing_shard_is_named(samples: Any) -> None:
    store = samples.store()
    (shard_folder(store.path) / "shard-00002.h5").unlink()
    with pytest.raises(UserError, match=r"shard-00002.h5 is damaged"):
        ActivationStore.open(samples.path)
    with pytest.raises(UserError, match=r"shard-00002.h5 is damaged"):
        list(store.batches("train", samples.names, batch_tokens=9, seed=1))


def test_shards_of_zeros_are_named(samples: Any) -> None:
    store = samples.store()
    path = shard_folder(store.path) / "shard-00001.h5"
    path.write_bytes(bytes(path.stat().st_size))
    with pytest.raises(UserError, match=r"shard-00001.h5 is damaged"):
        list(
            ActivationStore.open(store.path).batches("train", samples.names, batch_tokens=9, seed=1)
        )


@pytest.mark.parametrize("kept", [0, 50, 3000])
def test_a_truncated_index_is_named(samples: Any, kept: int) -> None:
    samples.store()
    os.truncate(samples.path, kept)
    with pytest.raises(UserError, match=r"activations.h5 is damaged"):
        ActivationStore.open(samples.path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "manifest.json is not valid JSON"),
        ("[]", r"manifest.json is damaged"),
        ('{"identity": {"schema": "attnreplace.activations/2"}}', r"manifest.json is damaged"),
        (
            '{"identity": {"schema": "attnreplace.activations/1"}}',
            "schema attnreplace.activations/1, .* reads .*/2; run `attnreplace extract --ov",
        ),
    ],
)
def test_a_damaged_manifest_is_named(samples: Any, text: str, message: str) -> None:
    samples.store()
    manifest_path(samples.path).write_text(text)
    with pytest.raises(UserError, match=message):
        ActivationStore.open(samples.path)


def test_a_missing_manifest_is_named(samples: Any) -> None:
    samples.store()
    manifest_path(samples.path).unlink()
    with pytest.raises(UserError, match=r"manifest.json is missing; run `attnreplace extract --ov"):
        ActivationStore.open(samples.path)
