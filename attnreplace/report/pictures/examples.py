"""Validation examples as a model reads them, one at a time, with labels for their tokens."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from attnreplace.data.batching import encode
from attnreplace.teacher.load import Teacher

LOOK_AT = 500
"""Validation sentences to choose from."""
SHORTEST, LONGEST = 6, 16
"""Tokens of the sentences wanted: more have no room for labels."""


@dataclass(frozen=True)
class Example:
    """One sentence, or one image."""

    inputs: dict[str, Tensor]
    """Keyword arguments of the model, a batch of one without padding."""
    source: tuple[str, ...]
    """A label a token; none for the patches of an image."""
    target: tuple[str, ...] = ()
    """Of what the decoder reads."""


@dataclass(frozen=True)
class Examples:
    """Examples with as many tokens of the source."""

    items: Sequence[Example]
    typical: int | None
    """Tokens that nine of ten sentences have at most; None for images, all of one size."""


def load_examples(teacher: Teacher, corpus: Any, count: int) -> Examples:
    """The first `count` validation sentences of the most common length that has room for labels.

    Args:
        teacher: the model with its tokenizer, or image processor.
        corpus: of any task.
        count: how many there may be.
    """
    task = corpus.task
    if task == "image":
        return _images(teacher, corpus.validation.head(count))
    split = corpus.validation.head(LOOK_AT)
    texts = split.source if task == "translation" else split.lines
    ids = [row for row in encode(teacher.tokenizer, texts)]
    lengths = [len(row) for row in ids]
    near = [n for n in lengths if SHORTEST <= n <= LONGEST] or [min(lengths)]
    # Of equally common lengths the longest: there is more to see.
    chosen = max(Counter(near).items(), key=lambda item: (item[1], item[0]))[0]
    at = [i for i, n in enumerate(lengths) if n == chosen][:count]
    targets: list[list[int]] = []
    if task == "translation":
        targets = encode(teacher.tokenizer, [split.target[i] for i in at], target=True)
    items = [
        _text(teacher, ids[i], targets[place] if targets else None) for place, i in enumerate(at)
    ]
    return Examples(items, sorted(lengths)[int(0.9 * (len(lengths) - 1))])


def token_labels(tokenizer: Any, ids: Sequence[int]) -> tuple[str, ...]:
    """Tokens as a person reads them; a dot before those that go on with a word."""
    tokens = [str(token) for token in tokenizer.convert_ids_to_tokens(list(ids))]
    special = set(tokenizer.all_special_tokens)
    marked = any(token[:1] in ("\u2581", "\u0120") for token in tokens)
    labels = []
    for token in tokens:
        bare = token.lstrip("\u2581\u0120").removeprefix("##")
        # A subword without the mark of a word's beginning; WordPiece marks the others.
        inside = token.startswith("##") or (marked and token == bare)
        inside = inside and token not in special and any(map(str.isalnum, bare))
        bare = bare if len(bare) <= 10 else f"{bare[:9]}\u2026"
        labels.append(f"\u00b7{bare}" if inside else bare)
    return tuple(labels)


def _text(teacher: Teacher, source: list[int], target: list[int] | None) -> Example:
    inputs = {"input_ids": torch.tensor([source]), "attention_mask": torch.ones(1, len(source))}
    inputs["attention_mask"] = inputs["attention_mask"].long()
    labels = token_labels(teacher.tokenizer, source)
    if target is None:
        return Example(inputs, labels)
    read = [teacher.model.config.decoder_start_token_id, *target[:-1]]
    inputs["decoder_input_ids"] = torch.tensor([read])
    # The decoder starts with a token that is the end elsewhere.
    return Example(inputs, labels, ("(start)", *token_labels(teacher.tokenizer, read[1:])))


def _images(teacher: Any, images: Any) -> Examples:
    pixels = teacher.pixels([images.array(i) for i in range(len(images))])
    return Examples([Example({"pixel_values": one[None]}, ()) for one in pixels], None)
