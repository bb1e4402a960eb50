"""Masked language modelling: perplexity and accuracy at masked tokens.

The masks of a block follow from its number alone, so that all systems fill in the same ones.
"""

import math
from functools import cached_property
from typing import Any

import torch
from torch.nn import functional as F
from transformers import PreTrainedModel

from attnreplace.data.blocks import encode_texts
from attnreplace.data.masking import IGNORED, mask_blocks
from attnreplace.errors import UserError
from attnreplace.evaluate.scorers.base import Outcome, Scorer, Setup
from attnreplace.evaluate.scorers.reading import TokenRows, mean_length, pad_id, read
from attnreplace.evaluate.systems import Candidate
from attnreplace.progress import Progress, Task

MASKING_SEED = 0


class MaskedLanguageModelling(Scorer):
    """Perplexity: the exponential of the mean cross-entropy over the masked tokens."""

    metric, tasks = "perplexity", ("mlm",)

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        if setup.teacher.model.get_output_embeddings() is None:
            raise UserError(
                f"the teacher in {setup.teacher.path} does not predict tokens; compare sentence "
                "embeddings with `attnreplace eval --similarity`"
            )
        self._blocks: dict[str, tuple[list[list[int]], list[list[int]]]] = {}

    @property
    def block(self) -> int:
        """Tokens of a block: what the teacher reads at most, whatever the system."""
        return self.setup.teacher.max_length

    def inputs(self, candidate: Candidate) -> dict[str, Any]:
        """What is masked."""
        return {"scoring": [self.metric, MASKING_SEED, self.block]}

    def examples(self, test_set: str) -> int:
        """Blocks."""
        return len(self._masked(test_set)[0])

    def score(
        self,
        candidate: Candidate,
        model: PreTrainedModel,
        test_set: str,
        task: Task,
        progress: Progress,
    ) -> Outcome:
        """Fill in the masks."""
        inputs, answers = self._masked(test_set)
        longest = max(map(len, inputs), default=0)
        if longest > candidate.limit:
            raise UserError(
                f"the students of {candidate.system['name']} read at most {candidate.limit} "
                f"tokens and blocks of the test set have {longest}; distil students of more "
                "positions, or leave this system out with --bundle"
            )
        tokenizer = self.setup.teacher.tokenizer
        masked = torch.tensor([sum(a != IGNORED for a in row) for row in answers])
        losses, hits = torch.zeros(len(inputs), dtype=torch.float64), 0
        examples = TokenRows(inputs, pad_id(tokenizer))
        labels = TokenRows(answers, IGNORED)
        for rows, _, said in read(model, examples, self.setup.config.batch_tokens, task):
            asked = labels.batch(rows)["input_ids"]
            chosen = asked != IGNORED
            logits = said.logits[chosen.to(said.logits.device)].float()
            wanted = asked[chosen].to(logits.device)
            each = F.cross_entropy(logits, wanted, reduction="none").double().cpu()
            losses.index_add_(0, torch.tensor(rows)[chosen.nonzero()[:, 0]], each)
            hits += int((logits.argmax(1) == wanted).sum())
        total = int(masked.sum())
        if total == 0:
            raise UserError(f"the test set {test_set} has no token to mask; it may be empty")
        mean = float(losses.sum()) / total
        perplexity = math.exp(min(mean, 700.0))  # What a float can hold.
        task.advance(0, perplexity=perplexity)
        signature = f"masked:15%|seed:{MASKING_SEED}|block:{self.block}|tokens:{total}"
        return Outcome(
            {
                "perplexity": {"score": perplexity, "signature": signature},
                "masked_accuracy": {"score": 100 * hits / total, "signature": signature},
                "cross_entropy": {"score": mean, "signature": signature},
            },
            {"task": self.setup.corpus.task, "metric": self.metric},
            (
                {"masked": count, "cross_entropy": loss / count if count else None}
                for count, loss in zip(masked.tolist(), losses.tolist(), strict=True)
            ),
        )

    @cached_property
    def mean_tokens(self) -> int:
        """Mean length of the blocks."""
        blocks, _ = self._masked(next(iter(self.setup.corpus.tests)))
        return mean_length(list(map(len, blocks)))

    def _masked(self, test_set: str) -> tuple[list[list[int]], list[list[int]]]:
        """Blocks to read and what to fill in; made once for all systems."""
        if test_set not in self._blocks:
            texts, tokenizer = self.setup.corpus.tests[test_set], self.setup.teacher.tokenizer
            blocks = encode_texts(tokenizer, texts, self.block, "mlm")
            self._blocks[test_set] = mask_blocks(blocks, tokenizer, MASKING_SEED)
        return self._blocks[test_set]
