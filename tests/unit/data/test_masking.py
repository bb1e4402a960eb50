import random

import pytest

from attnreplace.data.masking import mask_blocks
from attnreplace.data.tokenizer import train_tokenizer
from attnreplace.errors import UserError

TOKENIZER = train_tokenizer(["the dog sees the cat"], 300, masked=True)
RANDOM = random.Random(0)
BLOCKS = [[0, *(RANDOM.randrange(5, 250) for _ in range(60)), 2] for _ in range(300)]


def test_shares_are_those_of_bert():
    inputs, labels = mask_blocks(BLOCKS, TOKENIZER, 0)
    pairs = [
        (read, label, token)
        for rows in zip(inputs, labels, BLOCKS, strict=True)
        for read, label, token in zip(*rows, strict=True)
    ]
    chosen = [(read, token) for read, label, token in pairs if label != -100]
    assert all(label in (-100, token) for _, label, token in pairs)
    assert all(read == token for read, label, token in pairs if label == -100)
    masked = sum(read == TOKENIZER.mask_token_id for read, _ in chosen)
    kept = sum(read == token for read, token in chosen)
    assert len(chosen) / (300 * 60) == pytest.approx(0.15, abs=0.01)
    assert masked / len(chosen) == pytest.approx(0.8, abs=0.03)
    assert kept / len(chosen) == pytest.approx(0.1, abs=0.03)


def test_special_tokens_are_never_chosen():
    _, labels = mask_blocks(BLOCKS, TOKENIZER, 3)
    assert {(row[0], row[-1]) for row in labels} == {(-100, -100)}


def test_a_block_is_masked_by_seed_and_index_whatever_it_is_with():
    inputs, labels = mask_blocks(BLOCKS, TOKENIZER, 7)
    some = [40, 3, 299]
    picked = mask_blocks([BLOCKS[index] for index in some], TOKENIZER, 7, some)
    assert picked == ([inputs[index] for index in some], [labels[index] for index in some])
    assert mask_blocks(BLOCKS, TOKENIZER, 8)[1] != labels
    same_text = mask_blocks([BLOCKS[0]] * 2, TOKENIZER, 7)
    assert same_text[0][0] != same_text[0][1]


def test_short_blocks_have_one_masked_token_at_least():
    short = [[0, 9, 2]] * 50
    inputs, labels = mask_blocks(short, TOKENIZER, 0)
    assert labels == [[-100, 9, -100]] * 50
    assert [0, TOKENIZER.mask_token_id, 2] in inputs
    assert mask_blocks([[0, 2]], TOKENIZER, 0) == ([[0, 2]], [[-100, -100]])


def test_a_tokenizer_without_a_mask_is_refused():
    with pytest.raises(UserError, match="no mask_token"):
        mask_blocks([[5]], train_tokenizer(["a"], 260), 0)
