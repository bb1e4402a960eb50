"""The embedded corpus in lines of about N tokens: its sentences, joined."""

from collections.abc import Iterator, Sequence
from itertools import cycle

from attnreplace.data.batching import encode
from attnreplace.data.corpus import Pairs

MIXED = (25,) * 8 + (50,) * 4 + (100,) * 2 + (200,)
"""Limits of a teacher's lines in turn: of each length about as many tokens."""


def pack(
    pairs: Pairs, lengths: Sequence[tuple[int, int]], limits: Sequence[int], tokens: int
) -> Pairs:
    """Join sentences as long as both sides of a line stay within its limit.

    Sentences that are too long for a limit on their own are left out there.

    Args:
        pairs: sentences and their translations.
        lengths: tokens of each on both sides, `</s>` included.
        limits: of the lines, in turn.
        tokens: of the source, after which no line is begun.
    """
    source: list[str] = []
    target: list[str] = []
    turn = cycle(limits)
    for line in _lines(lengths, turn):
        if tokens <= 0:
            break
        source.append(" ".join(pairs.source[i] for i in line))
        target.append(" ".join(pairs.target[i] for i in line))
        tokens -= sum(lengths[i][0] - 1 for i in line) + 1
    return Pairs(source, target)


def token_lengths(tokenizer: object, pairs: Pairs) -> list[tuple[int, int]]:
    """Tokens of each pair on both sides."""
    source, target = (map(len, encode(tokenizer, side)) for side in (pairs.source, pairs.target))
    return list(zip(source, target, strict=True))


def _lines(lengths: Sequence[tuple[int, int]], limits: Iterator[int]) -> Iterator[list[int]]:
    """Indices of the sentences of each line."""
    line: list[int] = []
    limit, filled = next(limits), (1, 1)
    for index, (source, target) in enumerate(lengths):
        # The sentences of a line share one </s>.
        longer = (filled[0] + source - 1, filled[1] + target - 1)
        if line and max(longer) > limit:
            yield line
            line, limit, longer = [], next(limits), (source, target)
        if max(longer) <= limit:
            line.append(index)
            filled = longer
        elif not line:
            filled = (1, 1)
