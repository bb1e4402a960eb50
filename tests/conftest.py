"""What every test may use."""

from collections.abc import Iterator, Sequence

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from attnreplace.evaluate import cost
from attnreplace.progress import NullProgress


@pytest.fixture(autouse=True, scope="session")
def hurried() -> Iterator[None]:
    """Time as little as can be: the figures are of no account."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (("ENCODER_SECONDS", 0), ("GENERATE_SECONDS", 0), ("NEW_TOKENS", 8)):
            patch.setattr(cost, name, value)
        yield


def word_tokenizer(words: Sequence[str]) -> PreTrainedTokenizerFast:
    """Whole words, with BERT's special tokens: five more."""
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    ids = {token: i for i, token in enumerate([*special, *words])}
    backend = Tokenizer(models.WordLevel(ids, unk_token="[UNK]"))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    backend.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    names = ("pad", "unk", "cls", "sep", "mask")
    tokens = {f"{name}_token": token for name, token in zip(names, special, strict=True)}
    return PreTrainedTokenizerFast(tokenizer_object=backend, **tokens)


class Notes(NullProgress):
    """Progress that keeps what is said."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def note(self, message: str) -> None:
        self.said.append(message)


@pytest.fixture
def notes() -> Notes:
    return Notes()
