"""What the teacher reads: a corpus as token ids, and what activations of it are known by."""

from collections.abc import Sequence
from typing import Any

from attnreplace.activations.plan import Plan, plan_shards
from attnreplace.activations.schema import StoreIdentity
from attnreplace.activations.teacher_pass import Ids
from attnreplace.data.batching import encode
from attnreplace.data.corpus import Corpus
from attnreplace.errors import UserError
from attnreplace.hosts import Site
from attnreplace.teacher.load import Teacher


def identify(
    teacher: Teacher, corpus: Corpus, sites: Sequence[Site], dtype: str, max_train: int | None
) -> StoreIdentity:
    """What activations of these sites are made from."""
    return StoreIdentity(
        teacher_digest=teacher.digest,
        tokenizer_digest=teacher.tokenizer_digest,
        data_digest=corpus.digest,
        sites=tuple(str(site) for site in sites),
        dtype=dtype,
        max_length=teacher.max_length,
        max_train=max_train,
    )


def encode_corpus(tokenizer: Any, corpus: Corpus, max_train: int | None) -> Ids:
    """Token ids of the training and validation splits; of training the first `max_train` pairs."""
    splits = {"train": corpus.train.head(max_train), "validation": corpus.validation}
    return {
        split: {
            "source": encode(tokenizer, pairs.source),
            "target": encode(tokenizer, pairs.target, target=True),
        }
        for split, pairs in splits.items()
    }


def plan_corpus(ids: Ids, max_length: int, shard_sentences: int) -> Plan:
    """Lay out the pairs that are short enough, as `plan_shards`.

    Raises:
        UserError: in a split, none is.
    """
    lengths = {
        split: {axis: list(map(len, sentences)) for axis, sentences in by_axis.items()}
        for split, by_axis in ids.items()
    }
    plan = plan_shards(lengths, max_length, shard_sentences)
    for split in plan.splits:
        if not plan.of(split):
            raise UserError(
                f"no pair of the split {split} has at most {max_length} tokens on both sides, the "
                "teacher's max_length; students need training and validation pairs"
            )
    return plan
