import pytest
from transformers import PreTrainedTokenizerFast

from attnreplace.data.blocks import encode_texts
from attnreplace.data.texts import Texts
from attnreplace.data.tokenizer import train_tokenizer
from attnreplace.errors import UserError

LINES = ["the dog sees the cat", "", "a cat", "the cat sees a dog and the dog sees a cat"] * 3
TOKENIZER = train_tokenizer(LINES, 290, masked=True)


@pytest.mark.parametrize("max_length", [2, 7, 16, 500])
def test_blocks_hold_every_line_closed_by_the_separator(max_length):
    blocks = encode_texts(TOKENIZER, Texts(LINES), max_length, "mlm")
    assert all(block[0] == TOKENIZER.cls_token_id for block in blocks)
    assert {len(block) for block in blocks[:-1]} <= {max_length}
    assert 2 < len(blocks[-1]) <= max_length or max_length == 2
    stream = [token for block in blocks for token in block[1:]]
    lines = TOKENIZER([line for line in LINES if line], add_special_tokens=False)["input_ids"]
    expected = [token for line in lines for token in (*line, TOKENIZER.sep_token_id)]
    assert stream in (expected, expected[:-1])


def test_a_lone_separator_makes_no_block():
    (ids,) = TOKENIZER(["a cat"], add_special_tokens=False)["input_ids"]
    (block,) = encode_texts(TOKENIZER, Texts(["a cat"]), len(ids) + 1, "mlm")
    assert block == [TOKENIZER.cls_token_id, *ids]


def test_without_an_opening_token_blocks_are_text_alone():
    tokenizer = train_tokenizer(LINES, 290)
    first, *_ = encode_texts(tokenizer, Texts(LINES), 8, "mlm")
    assert first == (tokenizer(LINES[0])["input_ids"] + tokenizer(LINES[2])["input_ids"])[:8]


def test_a_row_a_line_for_classification():
    rows = encode_texts(TOKENIZER, Texts(LINES, [0] * len(LINES)), 6, "classification")
    assert len(rows) == len(LINES)
    assert {(row[0], row[-1]) for row in rows} == {(0, 2)}
    assert rows[1] == [0, 2]
    assert len(rows[3]) == 6


def test_no_separator_and_no_room_are_refused():
    bare = PreTrainedTokenizerFast(tokenizer_object=TOKENIZER.backend_tokenizer)
    with pytest.raises(UserError, match="neither sep_token nor eos_token"):
        encode_texts(bare, Texts(LINES), 8, "mlm")
    with pytest.raises(UserError, match="take a longer max_length"):
        encode_texts(TOKENIZER, Texts(LINES), 1, "mlm")
