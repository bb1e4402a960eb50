import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer

from attnreplace.data.tokenizer import train_tokenizer
from attnreplace.errors import UserError

TEXTS = ["Der Hund läuft.", "The dog runs.", "L'élève n'a pas mangé."] * 4
TOKENIZER = train_tokenizer(TEXTS, 320)


def test_ids_of_the_special_tokens_and_the_end_of_sentence():
    assert [TOKENIZER.bos_token_id, TOKENIZER.pad_token_id, TOKENIZER.eos_token_id] == [0, 1, 2]
    assert TOKENIZER("Hund")["input_ids"][-1] == 2
    assert TOKENIZER("")["input_ids"] == [2]


@settings(deadline=None)
@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc", "Zs"]), min_size=1))
def test_any_text_round_trips(text):
    import unicodedata

    # A text that spells a special token is not what this is about.
    assume("<" not in text)
    ids = TOKENIZER(text)["input_ids"]
    assert TOKENIZER.unk_token_id not in ids
    back = TOKENIZER.decode(ids, skip_special_tokens=True).strip()
    assert back == unicodedata.normalize("NFC", text).strip()


def test_saving_keeps_everything(tmp_path):
    TOKENIZER.save_pretrained(tmp_path)
    back = AutoTokenizer.from_pretrained(tmp_path)
    assert back(TEXTS)["input_ids"] == TOKENIZER(TEXTS)["input_ids"]


def test_too_small_a_vocabulary_is_refused():
    with pytest.raises(UserError, match="at least 260"):
        train_tokenizer(TEXTS, 259)
    with pytest.raises(UserError, match="at least 261"):
        train_tokenizer(TEXTS, 260, masked=True)


def test_a_tokenizer_for_models_that_read_one_text():
    tokenizer = train_tokenizer(TEXTS, 320, masked=True)
    ids = tokenizer("Hund")["input_ids"]
    assert (ids[0], ids[-1]) == (tokenizer.cls_token_id, tokenizer.sep_token_id) == (0, 2)
    assert tokenizer.mask_token_id == 4
    assert tokenizer("<mask>", add_special_tokens=False)["input_ids"] == [4]
