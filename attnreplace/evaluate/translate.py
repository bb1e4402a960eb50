"""Translate a test set: batched by tokens, in the order given, no sentence dropped."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers import GenerationConfig, PreTrainedModel

from attnreplace.data.batching import encode, pad, token_batches
from attnreplace.errors import UserError
from attnreplace.progress import NullProgress, Progress, Task
from attnreplace.splice import target_positions

OVER_LONG = ("error", "truncate", "teacher")
"""What may happen to a source sentence of more than `max_length` tokens, and to a translation that
the decoder's students have no positions for."""

LENGTH_RULE = "1.5 * source tokens + 10, rounded up to a multiple of 16"
"""How many tokens a hypothesis may have; `length_cap` in words."""

FORCED_TOKENS = ("forced_bos_token_id", "forced_eos_token_id", "bad_words_ids")
"""Settings of a model that decide which tokens a hypothesis must and must not have."""


@dataclass(frozen=True)
class Translations:
    """One hypothesis a sentence, in the order of the sentences."""

    hypotheses: list[str]
    over_long: int
    """How many source sentences were over the limit."""
    over_long_targets: int = 0
    """How many translations had not ended where the students of the decoder have no more
    positions, although a translation may be longer."""


def length_cap(source_tokens: int) -> int:
    """Most new tokens of a hypothesis.

    It is a function of the sentence alone, and batches are formed of sentences with one cap, so
    that a translation does not depend on the company the sentence keeps. Rounding up keeps the
    number of such groups small.
    """
    return -(-(3 * source_tokens + 20) // 32) * 16


def decoding(
    model: PreTrainedModel, *, beam: int, max_new_tokens: int, min_new_tokens: int | None = None
) -> GenerationConfig:
    """Greedy (`beam` 1) or beam search: sums of log-probabilities over length, nothing sampled.

    Of the model's own settings only those that name tokens are taken over, and whether it can
    decode with a cache.
    """
    own = model.generation_config
    return GenerationConfig(
        use_cache=own.use_cache,
        num_beams=beam,
        do_sample=False,
        length_penalty=1.0,
        max_new_tokens=max_new_tokens,
        min_new_tokens=min_new_tokens,
        pad_token_id=own.pad_token_id,
        bos_token_id=own.bos_token_id,
        eos_token_id=own.eos_token_id,
        decoder_start_token_id=own.decoder_start_token_id,
        **forced_tokens(model),
    )


def forced_tokens(model: PreTrainedModel) -> dict[str, Any]:
    """Of the settings that force or forbid tokens, those that a model has."""
    own = model.generation_config
    values = {name: getattr(own, name, None) for name in FORCED_TOKENS}
    return {name: value for name, value in values.items() if value is not None}


@contextmanager
def decodes_by(model: PreTrainedModel, config: GenerationConfig) -> Iterator[None]:
    """Make `config` the model's own for a while.

    `generate` fills what a config leaves open from the model's own (a checkpoint's `max_length`
    or `no_repeat_ngram_size`), and warns where the two meet; here nothing is left to fill.
    """
    own = model.generation_config
    model.generation_config = config
    try:
        yield
    finally:
        model.generation_config = own


def translate(
    model: PreTrainedModel,
    tokenizer: Any,
    sentences: Sequence[str],
    *,
    beam: int,
    max_length: int,
    over_long: str = "error",
    fallback: PreTrainedModel | None = None,
    batch_tokens: int = 4096,
    progress: Progress = NullProgress(),  # noqa: B008
) -> Translations:
    """Translate sentences; the result is detokenised text.

    Both sides may be over a limit: a source sentence over `max_length`, and a translation over the
    positions of the students in the decoder. Either is treated by the one policy.

    Args:
        model: in eval mode, on the device where it is to run.
        tokenizer: encodes with `</s>`, decodes to text.
        sentences: source sentences; an empty one is translated like any other.
        beam: 1 is greedy.
        max_length: longest source sentence in tokens, `</s>` included, that `model` is given.
        over_long: what happens to longer ones: "error"; "truncate": of a source the first tokens
            and `</s>`, `max_length` in all, of a translation what there is; "teacher":
            `fallback` translates the sentence whole.
        fallback: a model without these limits, on the same device.
        batch_tokens: bound on a batch's padded source tokens times beams.
        progress: one task, counted in sentences.

    Raises:
        UserError: a sentence or its translation is over the limit and `over_long` is "error";
            unknown `over_long`; a sentence is over the limit that the fallback has of its own.
    """
    if over_long not in OVER_LONG:
        raise UserError(f"unknown over_long {over_long!r}; valid: {', '.join(OVER_LONG)}")
    if over_long == "teacher" and fallback is None:
        raise ValueError('over_long "teacher" needs a fallback')
    ids = encode(tokenizer, sentences)
    long = [index for index, tokens in enumerate(ids) if len(tokens) > max_length]
    if long and over_long == "error":
        raise UserError(
            f"sentence {long[0] + 1} has {len(ids[long[0]])} tokens and the limit is {max_length} "
            f'({len(long)} such of {len(ids)}); set over_long to "truncate" or "teacher"'
        )
    if long and over_long == "truncate":
        # The tokenizer knows which of its special tokens have to stay.
        cut = tokenizer([sentences[i] for i in long], truncation=True, max_length=max_length)
        for index, tokens in zip(long, cut["input_ids"], strict=True):
            ids[index] = tokens
    short = [index for index, tokens in enumerate(ids) if len(tokens) <= max_length]
    if len(short) < len(ids):
        _check_positions(fallback, ids)
    with progress.task("translate", len(ids)) as task:
        hypotheses, cut_off = _generate(model, tokenizer, ids, short, beam, batch_tokens, task)
        if cut_off and over_long == "error":
            raise UserError(
                f"the translation of sentence {cut_off[0] + 1} does not end within the "
                f"{target_positions(model)} positions of the students ({len(cut_off)} such of "
                f'{len(ids)}); set over_long to "truncate" or "teacher"'
            )
        if fallback is not None and over_long == "teacher":
            if cut_off:
                _check_positions(fallback, ids)
            others = sorted(set(range(len(ids))).difference(short).union(cut_off))
            hypotheses |= _generate(fallback, tokenizer, ids, others, beam, batch_tokens, task)[0]
        else:
            task.advance(len(cut_off))
    texts = [hypotheses[index] for index in range(len(ids))]
    return Translations(texts, len(long), len(cut_off))


def _check_positions(fallback: PreTrainedModel | None, ids: list[list[int]]) -> None:
    """Raise `UserError` where a sentence is longer than the fallback's own table of positions."""
    positions = None if fallback is None else position_limit(fallback)
    for index, tokens in enumerate(ids):
        if positions is not None and len(tokens) > positions:
            raise UserError(
                f"sentence {index + 1} has {len(tokens)} tokens and the teacher itself has "
                f'{positions} positions; set over_long to "truncate"'
            )


def position_limit(model: PreTrainedModel) -> int | None:
    """Positions that the model's embeddings have; None where they are computed as needed."""
    table = getattr(model.get_encoder(), "embed_positions", None)
    return model.config.max_position_embeddings if isinstance(table, nn.Embedding) else None


def _generate(
    model: PreTrainedModel,
    tokenizer: Any,
    ids: list[list[int]],
    chosen: Sequence[int],
    beam: int,
    batch_tokens: int,
    task: Task,
) -> tuple[dict[int, str], list[int]]:
    """Hypotheses of the chosen ones of encoded sentences.

    Returns:
        Hypotheses by index; and in ascending order the indices of those that the students' lack
        of positions cut off, which the task has not counted yet.
    """
    hypotheses: dict[int, str] = {}
    cut_off: list[int] = []
    groups: dict[int, list[int]] = {}
    for index in chosen:
        if ids[index]:
            groups.setdefault(length_cap(len(ids[index])), []).append(index)
        else:  # A tokenizer without `</s>` makes nothing of an empty line, and so does a model.
            hypotheses[index] = ""
            task.advance(1)
    own, students = position_limit(model), target_positions(model)
    for cap in sorted(groups, reverse=True):
        group = groups[cap]
        # The decoder's positions hold the start token too.
        usual = cap if own is None else min(cap, own - 1)
        # The students' hold it as well, but the last token is only written, never read.
        new_tokens = usual if students is None else min(usual, students)
        config = decoding(model, beam=beam, max_new_tokens=new_tokens)
        if new_tokens < usual:
            config.forced_eos_token_id = None  # It would look like an end.
        lengths = [len(ids[index]) for index in group]
        for batch in token_batches(lengths, max(1, batch_tokens // beam)):
            rows = [group[place] for place in batch]
            sources, mask = pad([ids[row] for row in rows], tokenizer.pad_token_id)
            with decodes_by(model, config):
                output = model.generate(  # type: ignore[operator]
                    input_ids=sources.to(model.device),
                    attention_mask=mask.to(model.device),
                    generation_config=config,
                ).cpu()
            texts = tokenizer.batch_decode(
                output, skip_special_tokens=True, clean_up_tokenization_spaces=False
            )
            hypotheses |= zip(rows, map(str.strip, texts), strict=True)
            open_ends: list[int] = []
            if new_tokens < usual:
                ended = _ended(output, config.eos_token_id)
                open_ends = [row for row, end in zip(rows, ended, strict=True) if not end]
            cut_off += open_ends
            task.advance(len(rows) - len(open_ends))
    return hypotheses, sorted(cut_off)


def _ended(output: Tensor, eos_token_id: int | list[int]) -> list[bool]:
    """Whether each row of ids `(batch, tokens)`, start token included, has an end."""
    # Some models start with the token that also ends.
    ends = torch.isin(output[:, 1:], torch.tensor(eos_token_id)).any(dim=1)
    return [bool(end) for end in ends]
