"""Where distillation gets its activations: from a store, or from the teacher as it goes."""

from collections.abc import Collection, Iterator
from typing import Any, Protocol

from torch import Tensor

from attnreplace.activations.ragged import ActivationBatch
from attnreplace.activations.schema import StoreIdentity
from attnreplace.hosts.base import Axis
from attnreplace.progress import Progress


class ActivationSource(Protocol):
    """Batches of activations, in an order that the lengths, the seed and the epoch fix.

    Two sources of one identity, sites aside, and one `shard_sentences` give the same pairs in the
    same batches. A sentence is a pair here, and its length that of its longer side.
    """

    @property
    def identity(self) -> StoreIdentity:
        """What the activations are made from."""

    @property
    def shard_sentences(self) -> int:
        """Pairs in a shard, at most: pairs are mixed shard by shard."""

    @property
    def splits(self) -> list[str]:
        """Names of the splits."""

    @property
    def names(self) -> list[str]:
        """Names of the tensors."""

    @property
    def longest(self) -> int:
        """Tokens of the longest sentence of any split, on either side."""

    def require(self, **wanted: Any) -> None:
        """Check some fields of the identity: `source.require(teacher_digest=teacher.digest)`.

        Raises:
            UserError: names each field that differs, with both values.
        """

    def verify(
        self, progress: Progress, names: Collection[str], rank: int = 0, ranks: int = 1
    ) -> None:
        """Make sure that what is stored of some tensors is what was written.

        Args:
            names: which tensors.
            rank: of this process among those that share this out.
            ranks: how many these are.

        Raises:
            UserError: names the file that is damaged.
        """

    def sentences(self, split: str) -> int:
        """Pairs of a split."""

    def tokens(self, split: str, axis: Axis = "source") -> int:
        """Tokens of a split: rows of each of the axis' tensors."""

    def lengths(self, split: str, axis: Axis = "source") -> Tensor:
        """Tokens of each pair in stored order, int64 `(sentences,)`."""

    def batches(
        self,
        split: str,
        names: list[str],
        *,
        batch_tokens: int,
        seed: int | None,
        epoch: int = 0,
        skip: int = 0,
    ) -> Iterator[ActivationBatch]:
        """One epoch of batches, the same whenever split, seed and epoch are the same.

        Args:
            names: tensors to give.
            batch_tokens: bound on the sum of the lengths in a batch.
            seed: mixes the sentences, anew in each epoch; None keeps the stored order.
            skip: batches at the start to pass over; nothing is read or computed for them.

        Raises:
            UserError: unknown split or tensor, or a sentence over `batch_tokens`.
        """

    def num_batches(
        self, split: str, *, batch_tokens: int, seed: int | None, epoch: int = 0
    ) -> int:
        """How many batches `batches` yields; nothing is read or computed."""
