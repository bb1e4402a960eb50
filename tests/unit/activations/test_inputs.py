"""How the corpora of each task are read; that the values are right is asked of real runs."""

from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import (
    BertConfig,
    BertForMaskedLM,
    BertModel,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)

from attnreplace.activations.inputs import (
    INPUTS,
    Inputs,
    MaskedTexts,
    PlainTexts,
    identify,
    plan_inputs,
    read_corpus,
)
from attnreplace.data.config import EMBEDDED
from attnreplace.data.texts import TextCorpus, Texts
from attnreplace.errors import UserError
from attnreplace.hosts import Site
from attnreplace.teacher.load import Teacher

LINES = ["one two three", "two", "", "three two one one two three one two"]


class Lengths(Inputs):
    """Pairs of which nothing but the lengths is known."""

    kind, line = "pairs", "pair"

    def __init__(self, pairs: dict[str, list[tuple[int, int]]]) -> None:
        self.lengths = {
            split: {
                axis: [pair[i] for pair in of_split] for i, axis in enumerate(("source", "target"))
            }
            for split, of_split in pairs.items()
        }

    def run(self, *args: object, **kwargs: object) -> dict[str, torch.Tensor | None]:
        raise NotImplementedError


@pytest.mark.parametrize("empty", ["train", "validation"])
@pytest.mark.parametrize("lengths", [[], [(3, 9), (9, 3)]])
def test_a_split_without_a_short_pair_is_refused(
    empty: str, lengths: list[tuple[int, int]]
) -> None:
    pairs = {"train": [(5, 5)], "validation": [(5, 4)]} | {empty: lengths}
    with pytest.raises(UserError, match=f"no pair of the split {empty} has at most 5 tokens"):
        plan_inputs(Lengths(pairs), 5, 10)


def teacher(kind: type[PreTrainedModel]) -> Teacher:
    """An encoder of 6 positions over three words."""
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "one", "two", "three"]
    words = Tokenizer(models.WordLevel({t: i for i, t in enumerate(tokens)}, unk_token="[UNK]"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    names = {f"{t[1:-1].lower()}_token": t for t in tokens[:5]}
    config = BertConfig(
        vocab_size=len(tokens),
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=8,
        max_position_embeddings=6,
    )
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, **names)
    return Teacher(Path("teacher"), kind(config).eval(), tokenizer, {})


def corpus(task: str) -> TextCorpus:
    return TextCorpus("some", task, Texts(LINES), Texts(LINES[:2]))


def test_every_task_is_read() -> None:
    assert set(INPUTS) == set(EMBEDDED)


def test_a_model_without_predictions_reads_no_masks() -> None:
    masked = read_corpus(teacher(BertForMaskedLM), corpus("mlm"), 6, None)
    plain = read_corpus(teacher(BertModel), corpus("mlm"), 6, None)
    assert (type(masked), type(plain)) == (MaskedTexts, PlainTexts)
    assert plain.lengths["train"]["source"] == [3, 1, 0, 6]
    # 12 tokens and 3 separators; each block begins with [CLS].
    assert masked.lengths["train"]["source"] == [6, 6, 6]
    assert read_corpus(teacher(BertModel), corpus("mlm"), 6, 2).lengths["train"]["source"] == [3, 1]


def test_masks_do_not_depend_on_the_batch() -> None:
    model = teacher(BertForMaskedLM)
    masked = read_corpus(model, corpus("mlm"), 6, None)
    seen: list[torch.Tensor] = []
    hook = model.model.bert.embeddings.word_embeddings.register_forward_pre_hook(
        lambda _, args: seen.append(args[0])
    )
    with torch.no_grad():
        for lines in ([0, 1, 2], [1]):
            masked.run(model.model, "train", lines, torch.device("cpu"), decoder=False)
    hook.remove()
    together, alone = seen
    assert torch.equal(together[1:2], alone)
    assert ((together == 4).sum(1) >= 1).all()  # [MASK]


@pytest.mark.parametrize("lengths", [[6, 6], [6, 2, 4]])
def test_real_rows(lengths: list[int]) -> None:
    words = ["one"] * 6
    texts = Texts([" ".join(words[:length]) for length in lengths])
    read = read_corpus(
        teacher(BertModel), TextCorpus("some", "classification", texts, texts), 6, None
    )
    lines = range(len(lengths))
    with torch.no_grad():
        rows = read.run(
            teacher(BertModel).model, "train", lines, torch.device("cpu"), decoder=False
        )["source"]
    wanted = [6 * row + column for row, length in enumerate(lengths) for column in range(length)]
    assert rows is None if lengths == [6, 6] else rows.tolist() == wanted


def test_the_longest_line_is_the_teachers_or_less() -> None:
    reads, sites = teacher(BertForMaskedLM), [Site("encoder", "self", 0)]
    lengths = [
        identify(reads, corpus("mlm"), sites, "float16", length, None).max_length
        for length in (None, 4)
    ]
    assert lengths == [6, 4]
    with pytest.raises(UserError, match="max_length is 7, but the teacher reads at most 6"):
        identify(reads, corpus("mlm"), sites, "float16", 7, None)
