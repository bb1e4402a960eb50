"""Translation: order, batching, decoding settings and sentences over the limit."""

import copy
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from transformers import MarianConfig, MarianMTModel, PreTrainedModel

from attnreplace.data.batching import encode
from attnreplace.errors import UserError
from attnreplace.evaluate.translate import Translations, decoding, length_cap, translate
from attnreplace.progress import NullProgress, Task

LIMIT = 1000


def one_by_one(
    model: PreTrainedModel, tokenizer: Any, sentences: list[str], beam: int
) -> list[str]:
    """Hypotheses straight from `generate`, a sentence at a time."""
    hypotheses = []
    for tokens in encode(tokenizer, sentences):
        ids = torch.tensor([tokens])
        output = model.generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            max_length=1 + length_cap(len(tokens)),
            num_beams=beam,
            do_sample=False,
        )
        hypotheses.append(tokenizer.decode(output[0], skip_special_tokens=True).strip())
    return hypotheses


def talkative(model: PreTrainedModel) -> PreTrainedModel:
    """A copy that does not repeat itself, in float64: batches cannot change what is largest."""
    model = copy.deepcopy(model).double()
    torch.manual_seed(0)
    head = model.get_output_embeddings()
    head.weight = torch.nn.Parameter(torch.randn(head.weight.shape, dtype=torch.float64))
    return model


@pytest.mark.parametrize("beam", [1, 3])
@pytest.mark.parametrize("batch_tokens", [1, 120])
def test_each_sentence_gets_its_own_hypothesis(
    model: PreTrainedModel, tokenizer: Any, sentences: list[str], beam: int, batch_tokens: int
) -> None:
    model = talkative(model)
    result = translate(
        model, tokenizer, sentences, beam=beam, max_length=LIMIT, batch_tokens=batch_tokens
    )
    expected = one_by_one(model, tokenizer, sentences, beam)
    assert result == Translations(expected, 0)
    assert len(set(expected)) > 4  # The comparison tells sentences apart.


def test_the_settings_of_the_checkpoint_do_not_leak_into_the_search(
    other: PreTrainedModel, tokenizer: Any, sentences: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    expected = translate(other, tokenizer, sentences, beam=2, max_length=LIMIT)
    own = other.generation_config
    saved = own.to_dict()
    loggers = [logging.getLogger(name) for name in ("transformers", "transformers.generation")]
    for logger in loggers:
        logger.addHandler(caplog.handler)
    try:
        own.update(
            max_length=3, max_new_tokens=2, num_beams=7, no_repeat_ngram_size=1, min_length=2,
            length_penalty=0.1,
        )  # fmt: skip
        result = translate(other, tokenizer, sentences, beam=2, max_length=LIMIT)
    finally:
        for logger in loggers:
            logger.removeHandler(caplog.handler)
        for name in ("max_new_tokens", "num_beams", "no_repeat_ngram_size", "min_length",
                     "length_penalty", "max_length"):  # fmt: skip
            setattr(own, name, saved.get(name))
    assert result == expected
    assert other.generation_config is own
    assert caplog.records == []


def test_nothing_is_printed_or_logged(
    model: PreTrainedModel, tokenizer: Any, sentences: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    for beam in (1, 2):
        translate(model, tokenizer, sentences, beam=beam, max_length=LIMIT)
    assert capfd.readouterr() == ("", "")


def test_error_policy_names_the_sentence_and_the_ways_out(
    other: PreTrainedModel, tokenizer: Any, sentences: list[str]
) -> None:
    lengths = [len(tokens) for tokens in encode(tokenizer, sentences)]
    limit = lengths[0] - 1
    with pytest.raises(UserError) as error:
        translate(other, tokenizer, sentences, beam=1, max_length=limit, over_long="error")
    message = str(error.value)
    assert f"sentence 1 has {lengths[0]} tokens and the limit is {limit}" in message
    assert "truncate" in message and "teacher" in message and "\n" not in message
    # The default refuses as well: nobody gets a policy without choosing one.
    with pytest.raises(UserError):
        translate(other, tokenizer, sentences, beam=1, max_length=limit)


def test_a_sentence_of_exactly_the_limit_is_not_over_it(
    other: PreTrainedModel, tokenizer: Any, sentences: list[str]
) -> None:
    longest = max(len(tokens) for tokens in encode(tokenizer, sentences))
    result = translate(other, tokenizer, sentences, beam=1, max_length=longest)
    assert result.over_long == 0


def test_truncate_keeps_the_first_tokens_and_the_end(
    other: PreTrainedModel, tokenizer: Any
) -> None:
    text = "Ein Hund läuft über die Wiese."
    [tokens] = encode(tokenizer, [text])
    limit = len(tokens) - 3
    seen: list[list[int]] = []
    hook = other.get_encoder().register_forward_pre_hook(
        lambda module, args, kwargs: seen.extend(kwargs["input_ids"].tolist()), with_kwargs=True
    )
    try:
        result = translate(
            other, tokenizer, [text, "Ja."], beam=1, max_length=limit, over_long="truncate",
            batch_tokens=1,
        )  # fmt: skip
    finally:
        hook.remove()
    assert [*tokens[: limit - 1], tokenizer.eos_token_id] in seen
    assert max(map(len, seen)) == limit
    assert result.over_long == 1
    # Truncating is a matter of this call: the tokenizer still encodes whole sentences.
    assert encode(tokenizer, [text]) == [tokens]


def test_teacher_policy_takes_long_sentences_from_the_fallback_and_others_from_the_model(
    model: PreTrainedModel, other: PreTrainedModel, tokenizer: Any, sentences: list[str]
) -> None:
    lengths = [len(tokens) for tokens in encode(tokenizer, sentences)]
    limit = sorted(lengths)[-3]
    by_model = translate(model, tokenizer, sentences, beam=2, max_length=LIMIT).hypotheses
    by_other = translate(other, tokenizer, sentences, beam=2, max_length=LIMIT).hypotheses
    result = translate(
        model, tokenizer, sentences, beam=2, max_length=limit, over_long="teacher", fallback=other
    )
    assert result.over_long == 2
    assert result.hypotheses == [
        by_other[i] if length > limit else by_model[i] for i, length in enumerate(lengths)
    ]
    with pytest.raises(ValueError, match="fallback"):
        translate(model, tokenizer, sentences, beam=1, max_length=limit, over_long="teacher")


POSITIONS = 12


def endless(model: PreTrainedModel) -> PreTrainedModel:
    """A copy that never writes an end."""
    model = copy.deepcopy(model)
    model.generation_config.bad_words_ids = [[model.generation_config.eos_token_id]]
    return model


@pytest.mark.parametrize("beam", [1, 3])
def test_students_of_cross_attention_answer_for_any_number_of_tokens(
    model: PreTrainedModel, tokenizer: Any, spliced: Callable[..., PreTrainedModel], beam: int
) -> None:
    students = endless(spliced(model, "cross", POSITIONS))
    result = translate(students, tokenizer, ["Ja."], beam=beam, max_length=9)
    assert result.over_long_targets == 0
    assert len(encode(tokenizer, result.hypotheses)[0]) > POSITIONS


@pytest.mark.parametrize("beam", [1, 3])
def test_translations_never_run_over_the_positions_of_the_students(
    model: PreTrainedModel,
    tokenizer: Any,
    spliced: Callable[..., PreTrainedModel],
    beam: int,
) -> None:
    sentences = ["Ja.", "Ein Kind.", ""]
    students = endless(spliced(model, "decoder", POSITIONS))
    kept = translate(students, tokenizer, sentences, beam=beam, max_length=9, over_long="truncate")
    assert (kept.over_long, kept.over_long_targets) == (0, len(sentences))
    with pytest.raises(UserError) as error:
        translate(students, tokenizer, sentences, beam=beam, max_length=9)
    message = str(error.value)
    assert f"sentence 1 does not end within the {POSITIONS} positions" in message
    assert "(3 such of 3)" in message and '"truncate" or "teacher"' in message
    assert "\n" not in message
    # With more positions than the longest that a translation may be, nothing is cut off.
    roomy = endless(spliced(model, "decoder", length_cap(9)))
    result = translate(roomy, tokenizer, sentences, beam=beam, max_length=9)
    assert result.over_long_targets == 0


def test_only_what_does_not_end_is_cut_off_or_given_to_the_teacher(
    other: PreTrainedModel, tokenizer: Any, spliced: Callable[..., PreTrainedModel]
) -> None:
    sentences = ["Ja.", "Ein Kind.", "Ein Hund läuft über die Wiese.", "Die Kinder spielen."]
    students = copy.deepcopy(spliced(other, "decoder", POSITIONS))
    # Long sources never end, short ones do at once.
    encoder_read: list[int] = []
    end = students.generation_config.eos_token_id

    def push(module: Any, args: Any, kwargs: Any, output: Any) -> Any:
        logits = output.logits
        source = kwargs["attention_mask"].sum(dim=1)
        encoder_read.extend(source.tolist())
        logits[..., end] = torch.where(source > 6, -1e4, 1e4)[:, None].to(logits.dtype)
        return output

    students.register_forward_hook(push, with_kwargs=True)
    lengths = [len(ids) for ids in encode(tokenizer, sentences)]
    long = [length > 6 for length in lengths]
    assert 0 < sum(long) < len(long)
    kept = translate(students, tokenizer, sentences, beam=1, max_length=LIMIT, over_long="truncate")
    assert kept.over_long_targets == sum(long)
    assert [text == "" for text in kept.hypotheses] == [not over for over in long]
    progress = Counting()
    given = translate(
        students, tokenizer, sentences, beam=1, max_length=LIMIT, over_long="teacher",
        fallback=other, progress=progress,
    )  # fmt: skip
    by_teacher = translate(other, tokenizer, sentences, beam=1, max_length=LIMIT).hypotheses
    assert given.over_long_targets == sum(long)
    assert given.hypotheses == [by_teacher[i] if over else "" for i, over in enumerate(long)]
    assert progress.done == progress.total == len(sentences)


def test_a_model_without_a_cache_decodes_without_one(
    other: PreTrainedModel, tokenizer: Any, spliced: Callable[..., PreTrainedModel]
) -> None:
    model = spliced(other, "cross", 64, cross_form="paper")
    assert model.generation_config.use_cache is False
    assert decoding(model, beam=2, max_new_tokens=4).use_cache is False
    result = translate(model, tokenizer, ["Ein Kind.", "Ja."], beam=2, max_length=LIMIT)
    assert len(result.hypotheses) == 2
    assert decoding(other, beam=2, max_new_tokens=4).use_cache is not False


def test_a_table_of_positions_is_never_run_over(other: PreTrainedModel, tokenizer: Any) -> None:
    torch.manual_seed(0)
    small = MarianMTModel(
        MarianConfig(
            vocab_size=len(tokenizer), d_model=8, encoder_layers=1, decoder_layers=1,
            encoder_attention_heads=2, decoder_attention_heads=2, encoder_ffn_dim=8,
            decoder_ffn_dim=8, max_position_embeddings=20, pad_token_id=1, bos_token_id=0,
            eos_token_id=2, decoder_start_token_id=0, forced_eos_token_id=None,
        )
    ).eval()  # fmt: skip
    small.generation_config.bad_words_ids = [[tokenizer.eos_token_id]]  # It never ends.
    assert length_cap(9) > 20
    translate(small, tokenizer, ["ja ja ja"], beam=1, max_length=20)
    with pytest.raises(UserError, match=r"sentence 2 has \d+ tokens and the teacher .* 20 pos"):
        translate(
            other, tokenizer, ["ja", "ja " * 20], beam=1, max_length=9, over_long="teacher",
            fallback=small,
        )  # fmt: skip


def test_unknown_policy_lists_the_valid_ones(other: PreTrainedModel, tokenizer: Any) -> None:
    with pytest.raises(UserError, match="'drop'; valid: error, truncate, teacher"):
        translate(other, tokenizer, ["Ja."], beam=1, max_length=9, over_long="drop")


def test_no_sentences_no_hypotheses(other: PreTrainedModel, tokenizer: Any) -> None:
    assert translate(other, tokenizer, [], beam=1, max_length=9) == Translations([], 0)


class Counting(NullProgress):
    """Progress that counts."""

    def __init__(self) -> None:
        self.total: int | None = None
        self.done = 0

    @contextmanager
    def task(self, description: str, total: int | None, done: int = 0) -> Iterator[Task]:
        self.total = total
        yield self

    def advance(self, steps: int = 1, **figures: float | str) -> None:
        self.done += steps


def test_progress_counts_every_sentence(
    other: PreTrainedModel, tokenizer: Any, sentences: list[str]
) -> None:
    progress = Counting()
    translate(other, tokenizer, sentences, beam=1, max_length=LIMIT, progress=progress)
    assert progress.total == progress.done == len(sentences)


def test_caps_grow_with_the_source_and_leave_room() -> None:
    caps = [length_cap(tokens) for tokens in range(1, 200)]
    assert caps == sorted(caps)
    for tokens, cap in enumerate(caps, start=1):
        assert cap % 16 == 0 and 1.5 * tokens + 10 <= cap < 1.5 * tokens + 26
