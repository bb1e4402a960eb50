import random

import torch
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import processors
from transformers import PreTrainedTokenizerFast

from attnreplace.data.batching import encode, pad, token_batches

from ...conftest import word_tokenizer


@given(
    st.lists(st.integers(1, 60), max_size=80),
    st.integers(1, 200),
    st.one_of(st.none(), st.integers(0, 3)),
)
def test_batches_hold_each_sentence_once_and_keep_the_bound(lengths, bound, seed):
    generator = None if seed is None else random.Random(seed)
    batches = token_batches(lengths, bound, generator=generator)
    assert sorted(index for batch in batches for index in batch) == list(range(len(lengths)))
    for batch in batches:
        padded = len(batch) * max(lengths[index] for index in batch)
        assert padded <= bound or len(batch) == 1


def test_without_a_generator_the_longest_come_first():
    assert token_batches([1, 5, 3], 5) == [[1], [2], [0]]


def test_pad_is_on_the_right():
    ids, mask = pad([[5, 6, 2], [7, 2]], pad_id=1)
    assert torch.equal(ids, torch.tensor([[5, 6, 2], [7, 2, 1]]))
    assert torch.equal(mask, torch.tensor([[1, 1, 1], [1, 1, 0]]))


class _TwoSided(PreTrainedTokenizerFast):
    """As those of NLLB and mBART: a code of the language before the sentence."""

    def _switch_to_input_mode(self):
        self._begin_with("de")

    def _switch_to_target_mode(self):
        self._begin_with("en")

    def _begin_with(self, code):
        self.backend_tokenizer.post_processor = processors.TemplateProcessing(
            single=f"{code} $A", special_tokens=[(code, self.convert_tokens_to_ids(code))]
        )


def test_sentences_of_the_target_are_encoded_as_such():
    words = word_tokenizer(["de", "en", "a"])
    tokenizer = _TwoSided(tokenizer_object=words.backend_tokenizer)
    german, english, a = words.convert_tokens_to_ids(["de", "en", "a"])
    assert encode(tokenizer, ["a a"]) == [[german, a, a]]
    assert encode(tokenizer, ["a a"], target=True) == [[english, a, a]]
    assert encode(tokenizer, []) == []
