"""A byte-level BPE: joint for both languages of a pair, or for models that read one text."""

from collections.abc import Iterable

from tokenizers import (
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)
from transformers import PreTrainedTokenizerFast

from attnreplace.errors import UserError

BOS, PAD, EOS, UNK, MASK = "<s>", "<pad>", "</s>", "<unk>", "<mask>"
SPECIAL_TOKENS = [BOS, PAD, EOS, UNK]  # ids 0 to 3, as the M2M-100 and BART classes expect


def train_tokenizer(
    texts: Iterable[str], vocab_size: int, *, masked: bool = False
) -> PreTrainedTokenizerFast:
    """Train a BPE on sentences.

    Bytes are the smallest pieces, so no input is unknown and decoding gives back the text. A
    sentence is encoded as its pieces followed by `</s>`.

    Args:
        texts: sentences, of both languages of a pair.
        vocab_size: number of pieces, the special tokens included.
        masked: for models that read one text: with `<mask>`, and with `<s>` before a sentence,
            at which its class can be read.

    Raises:
        UserError: `vocab_size` leaves no room for the 256 bytes.
    """
    special = [*SPECIAL_TOKENS, MASK] if masked else SPECIAL_TOKENS
    smallest = len(special) + 256
    if vocab_size < smallest:
        raise UserError(
            f"vocab_size is {vocab_size}; a byte-level vocabulary needs at least {smallest}"
        )
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    ends = [BOS, EOS] if masked else [EOS]
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{BOS} $A {EOS}" if masked else f"$A {EOS}",
        special_tokens=[(token, special.index(token)) for token in ends],
    )
    roles = {"cls_token": BOS, "sep_token": EOS, "mask_token": MASK} if masked else {}
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=BOS,
        pad_token=PAD,
        eos_token=EOS,
        unk_token=UNK,
        **roles,
        padding_side="right",
        clean_up_tokenization_spaces=False,
        model_input_names=["input_ids", "attention_mask"],
    )
