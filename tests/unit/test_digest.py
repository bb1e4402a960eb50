import torch

from attnreplace.data.tokenizer import train_tokenizer
from attnreplace.digest import digest_json, digest_state, tokenizer_digest


def test_order_of_keys_is_of_no_account():
    assert digest_json({"a": 1, "b": [2]}) == digest_json({"b": [2], "a": 1})


def test_state_digest_sees_names_types_shapes_and_bits():
    zeros = torch.zeros(2, 3)
    digests = [
        digest_state({"w": zeros}),
        digest_state({"v": zeros}),
        digest_state({"w": zeros.double()}),
        digest_state({"w": zeros.view(3, 2)}),
        digest_state({"w": -zeros}),
    ]
    assert len(set(digests)) == len(digests)
    assert digest_state({"w": zeros.t().contiguous().t()}) == digests[0]


def test_tokenizer_digest_outlives_padding_and_saving(tmp_path):
    tokenizer = train_tokenizer(["ein Hund", "a dog"] * 5, 270)
    before = tokenizer_digest(tokenizer)
    tokenizer(["ein", "ein Hund"], padding=True, truncation=True, max_length=4)
    assert tokenizer_digest(tokenizer) == before
    tokenizer.save_pretrained(tmp_path)
    assert tokenizer_digest(type(tokenizer).from_pretrained(tmp_path)) == before
    assert tokenizer_digest(train_tokenizer(["la maison"] * 5, 270)) != before
