"""Activations straight from the teacher, as they are asked for: no store, no disk."""

from collections.abc import Collection, Iterator
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch import Tensor

from attnreplace.activations.capture import Capture
from attnreplace.activations.extract import ExtractConfig
from attnreplace.activations.inputs import identify, plan_inputs, read_corpus
from attnreplace.activations.layout import PairLayout, plan_offsets
from attnreplace.activations.ragged import ActivationBatch
from attnreplace.activations.schema import StoreIdentity
from attnreplace.activations.sites import choose_sites
from attnreplace.activations.teacher_pass import packed_as
from attnreplace.data.corpora import AnyCorpus
from attnreplace.hosts import Site, host_for
from attnreplace.progress import Progress
from attnreplace.teacher.load import Teacher


class OnlineActivations(PairLayout):
    """What a store extracted with the same settings would give, batch by batch.

    The order is the store's. The values go through the store's type and differ from the store's
    only as the teacher's own numbers do when it reads a sentence in other company: each batch is
    one pass of the teacher, of the stacks that the wanted tensors need.
    """

    def __init__(
        self,
        teacher: Teacher,
        corpus: AnyCorpus,
        config: ExtractConfig,
        *,
        device: torch.device | None = None,
    ) -> None:
        """Encode the corpus; the teacher runs when batches are asked for.

        Args:
            config: as for extraction; its `batch_tokens` is of no account here.
            device: where the teacher runs and the batches are; None is where the teacher is.

        Raises:
            UserError: sites that the teacher does not have, a corpus of another task or other
                languages, or no line that is short enough.
        """
        teacher.require_corpus(corpus)
        self._teacher = teacher
        self._device = device or teacher.model.device
        self._sites = choose_sites(teacher.model, config.sites, config.layers)
        self._identity = identify(
            teacher, corpus, self._sites, config.dtype, config.max_length, config.max_train
        )
        longest = self._identity.max_length
        self._inputs = read_corpus(teacher, corpus, longest, config.max_train)
        self._shard_sentences = config.shard_sentences
        plan = plan_inputs(self._inputs, longest, config.shard_sentences)
        shards = {split: plan.of(split) for split in plan.splits}
        self._lines = {
            split: np.concatenate([np.zeros(0, np.int64), *(s.sentence_ids for s in of_split)])
            for split, of_split in shards.items()
        }
        super().__init__(
            plan_offsets(plan),
            {split: [len(s.sentence_ids) for s in of_split] for split, of_split in shards.items()},
            Capture(teacher.model, self._sites).widths,
            config.dtype,
        )

    def __str__(self) -> str:
        return f"the teacher {self._teacher.path}"

    @property
    def identity(self) -> StoreIdentity:
        """What a store of these activations would be made from."""
        return self._identity

    @property
    def shard_sentences(self) -> int:
        """Pairs in a shard of such a store, at most."""
        return self._shard_sentences

    def require(self, **wanted: Any) -> None:
        """Check some fields of the identity: `source.require(teacher_digest=teacher.digest)`.

        Raises:
            UserError: names each field that differs, with both values.
        """
        self.identity.require(self._teacher.path, wanted)

    def verify(
        self, progress: Progress, names: Collection[str], rank: int = 0, ranks: int = 1
    ) -> None:
        """Nothing is stored."""

    def sentence_ids(self, split: str) -> Tensor:
        """Line in the corpus of each pair in stored order, int64 `(sentences,)`."""
        self._rows(split)
        return torch.from_numpy(self._lines[split])

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
        """One epoch of batches, those of the store.

        Args:
            names: tensors to give.
            batch_tokens: bound on the sum of the lengths in a batch, each that of a pair's longer
                side.
            seed: mixes the sentences, anew in each epoch; None keeps the stored order.
            skip: batches at the start to pass over; the teacher does not run for them.

        Raises:
            UserError: unknown split or tensor, a sentence over `batch_tokens`, values that the
                store's type cannot hold.
        """
        widths = self._chosen(names)
        order = self._order(split, batch_tokens, seed, epoch)
        pairs = (buffer.sentences[batch] for buffer in order for batch in buffer.batches)
        return self._run(split, list(widths), pairs, skip)

    def _run(
        self, split: str, names: list[str], batches: Iterator[np.ndarray], skip: int
    ) -> Iterator[ActivationBatch]:
        lengths = self._lengths(split)
        sites = self._sites_of(set(names))
        capture = Capture(self._teacher.model, sites)
        decoder = any(site.stack == "decoder" for site in sites)
        for pairs in islice(batches, skip, None):
            lines = self._lines[split][pairs]
            packed = self._pass(split, lines, names, capture, decoder)
            yield ActivationBatch(
                {axis: torch.from_numpy(tokens[pairs]) for axis, tokens in lengths.items()},
                # A copy even of float32: autograd takes nothing made in inference mode.
                {name: packed[name].to(torch.float32, copy=True) for name in names},
            )

    @torch.inference_mode()
    def _pass(
        self, split: str, lines: np.ndarray, names: list[str], capture: Capture, decoder: bool
    ) -> dict[str, Tensor]:
        """The wanted tensors of some lines, `(tokens, d)` in the store's type."""
        model = self._teacher.model.eval().to(self._device)
        with capture:
            rows = self._inputs.run(model, split, lines, self._device, decoder=decoder)
            tensors = {name: capture.tensors[name] for name in names}
        return packed_as(tensors, rows, self.identity.dtype)

    def _sites_of(self, names: set[str]) -> list[Site]:
        """Sites that have these tensors; of the encoder alone where that suffices."""
        model = self._teacher.model
        host = host_for(model)
        held = {site: set(host.locate(model, site).tensor_names.values()) for site in self._sites}
        encoder = [site for site in self._sites if site.stack == "encoder"]
        if names <= set().union(*(held[site] for site in encoder)):
            return [site for site in encoder if names & held[site]]
        return [site for site in self._sites if names & held[site]]
