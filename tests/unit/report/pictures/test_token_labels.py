import pytest

from attnreplace.report.pictures.examples import token_labels


class Tokenizer:
    all_special_tokens = ("</s>", "[SEP]")

    def __init__(self, tokens: list[str]) -> None:
        self.tokens = tokens

    def convert_ids_to_tokens(self, ids: list[int]) -> list[str]:
        return [self.tokens[i] for i in ids]


@pytest.mark.parametrize(
    ("tokens", "labels"),
    [
        (["Ġold", "Ġf", "ar", ".", "</s>"], ["old", "f", "·ar", ".", "</s>"]),
        (["▁old", "er", "</s>"], ["old", "·er", "</s>"]),
        (["old", "##er", "[SEP]"], ["old", "·er", "[SEP]"]),
        (["ĠSchauspielerinnen"], ["Schauspie\u2026"]),
    ],
)
def test_labels(tokens: list[str], labels: list[str]) -> None:
    assert token_labels(Tokenizer(tokens), range(len(tokens))) == tuple(labels)
