"""From lines of text to rows of token ids for models that read one text."""

from typing import Any

from attnreplace.data.texts import Texts
from attnreplace.errors import UserError

LINES_AT_ONCE = 10_000
"""A tokenizer's answer holds far more than the ids: strings, offsets, masks."""


def encode_texts(tokenizer: Any, texts: Texts, max_length: int, task: str) -> list[list[int]]:
    """Token ids of every row that a model of this task reads, at most `max_length` each.

    For "mlm" the lines follow one another, each closed by the separator, and are cut into blocks
    as long as can be, the last one shorter; where the tokenizer has a token that opens a text,
    every block begins with it. For "classification" each line is a row with the tokenizer's own
    special tokens, cut where it is too long.

    Raises:
        UserError: the tokenizer lacks a separator, which blocks need.
    """
    if task == "mlm":
        return _blocks(tokenizer, texts.lines, max_length)
    rows: list[list[int]] = []
    for start in range(0, len(texts), LINES_AT_ONCE):
        lines = texts.lines[start : start + LINES_AT_ONCE]
        rows += tokenizer(lines, truncation=True, max_length=max_length)["input_ids"]
    return rows


def _blocks(tokenizer: Any, lines: list[str], max_length: int) -> list[list[int]]:
    separator = _first(tokenizer.sep_token_id, tokenizer.eos_token_id)
    if separator is None:
        raise UserError(
            "the tokenizer has neither sep_token nor eos_token to put between lines; set one of "
            "them in its tokenizer_config.json"
        )
    opening = [] if tokenizer.cls_token_id is None else [tokenizer.cls_token_id]
    room = max_length - len(opening)
    if room < 1:
        raise UserError(f"blocks of {max_length} tokens hold no text; take a longer max_length")
    blocks: list[list[int]] = []
    rest: list[int] = []
    for start in range(0, len(lines), LINES_AT_ONCE):
        encoded = tokenizer(
            lines[start : start + LINES_AT_ONCE], add_special_tokens=False, verbose=False
        )["input_ids"]
        for ids in encoded:
            if ids:
                rest += [*ids, separator]
        whole = len(rest) - len(rest) % room
        blocks += [opening + rest[i : i + room] for i in range(0, whole, room)]
        rest = rest[whole:]
    # A lone separator at the end leaves nothing to mask.
    return [*blocks, opening + rest] if len(rest) > 1 else blocks


def _first(*ids: int | None) -> int | None:
    return next((token for token in ids if token is not None), None)
