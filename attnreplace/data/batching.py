"""From sentences to padded batches of token ids."""

import random
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor


def encode(tokenizer: Any, texts: Sequence[str], *, target: bool = False) -> list[list[int]]:
    """Token ids of each sentence, `</s>` included, nothing truncated.

    Args:
        tokenizer: of the model.
        texts: sentences.
        target: whether they are of the target language, for which some tokenizers have other
            pieces (Marian) or another language code (NLLB, mBART).
    """
    if not texts:
        return []
    side = {"text_target" if target else "text": list(texts)}
    return tokenizer(**side, add_special_tokens=True, verbose=False)["input_ids"]


def pad(sequences: Sequence[Sequence[int]], pad_id: int) -> tuple[Tensor, Tensor]:
    """Right-pad sequences to the longest.

    Returns:
        Ids and attention mask, both int64 `(batch, seq)`; the mask is 1 at real tokens.
    """
    longest = max(len(sequence) for sequence in sequences)
    ids = torch.full((len(sequences), longest), pad_id)
    mask = torch.zeros(len(sequences), longest, dtype=torch.long)
    for row, sequence in enumerate(sequences):
        ids[row, : len(sequence)] = torch.tensor(sequence, dtype=torch.long)
        mask[row, : len(sequence)] = 1
    return ids, mask


def token_batches(
    lengths: Sequence[int], max_tokens: int, *, generator: random.Random | None = None
) -> list[list[int]]:
    """Group sentences of similar length into batches of at most `max_tokens` padded tokens.

    Args:
        lengths: tokens of each sentence (for pairs: of the longer side).
        max_tokens: bound on sentences times longest; a longer sentence gets a batch of its own.
        generator: breaks ties between equal lengths and shuffles the batches; None keeps the
            order of the lengths, longest first, so that memory peaks at once.

    Returns:
        Indices of the sentences in each batch.
    """
    order = list(range(len(lengths)))
    if generator:
        generator.shuffle(order)
    order.sort(key=lambda index: -lengths[index])
    batches: list[list[int]] = []
    room = 0
    for index in order:
        if room == 0:
            batches.append([])
            room = max(1, max_tokens // max(1, lengths[index]))
        batches[-1].append(index)
        room -= 1
    if generator:
        generator.shuffle(batches)
    return batches
