"""Masked tokens as in BERT (Devlin et al. 2019, section 3.1), the same for a block wherever it is.

The library's collator draws; it is handed a generator of its own for each block, so that what is
masked depends on the seed and on the block's index, never on the batch or on a process.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from transformers import DataCollatorForLanguageModeling

from attnreplace.errors import UserError

IGNORED = -100
"""The label of a token that is not to be predicted."""


def mask_blocks(
    blocks: Sequence[Sequence[int]],
    tokenizer: Any,
    seed: int,
    indices: Sequence[int] | None = None,
) -> tuple[list[list[int]], list[list[int]]]:
    """Choose 15 % of the tokens: 80 % of these become `<mask>`, 10 % another token, 10 % stay.

    Special tokens are never chosen; where chance chooses none, one is masked all the same.

    Args:
        blocks: token ids.
        tokenizer: has the mask and says which tokens are special.
        seed: another one for every epoch masks other tokens.
        indices: which blocks of the whole set these are; None: the set from its beginning.

    Returns:
        Ids to read, and labels: the ids to predict, -100 elsewhere.

    Raises:
        UserError: the tokenizer has no mask.
    """
    if tokenizer.mask_token_id is None:
        raise UserError(
            "the tokenizer has no mask_token, so its model was not made for masked language "
            "modelling; take one of the BERT family"
        )
    collator = DataCollatorForLanguageModeling(tokenizer, return_tensors="np")
    special = np.array(tokenizer.all_special_ids)
    inputs, labels = [], []
    indices = range(len(blocks)) if indices is None else indices
    for index, block in zip(indices, blocks, strict=True):
        read, answer = _mask(np.array(block), special, collator, _generator(seed, index))
        inputs.append(read.tolist())
        labels.append(answer.tolist())
    return inputs, labels


def _mask(
    block: np.ndarray,
    special: np.ndarray,
    collator: DataCollatorForLanguageModeling,
    generator: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    kept = np.isin(block, special)
    collator.generator = generator
    read, labels = collator.numpy_mask_tokens(block[None].copy(), special_tokens_mask=kept[None])
    read, labels = read[0], labels[0]
    if (labels == IGNORED).all() and not kept.all():
        chosen = generator.choice(np.flatnonzero(~kept))
        labels[chosen] = block[chosen]
        read[chosen] = collator.tokenizer.mask_token_id
    return read, labels


def _generator(seed: int, index: int) -> np.random.Generator:
    """A stream of its own for every seed and index."""
    return np.random.Generator(np.random.Philox(key=[seed % 2**64, index]))
