"""Text of one language for masked language modelling: the grammar's."""

from attnreplace.data.config import DataConfig
from attnreplace.data.parallel import generate
from attnreplace.data.texts import TextCorpus, Texts


def grammar_text(config: DataConfig) -> TextCorpus:
    """The sentences of the grammar in the source language of the pair.

    Raises:
        UserError: the grammar lacks the pair or a test set.
    """
    corpus = generate(config)
    train, validation, *tests = (
        Texts(pairs.source) for pairs in (corpus.train, corpus.validation, *corpus.tests.values())
    )
    return TextCorpus(
        corpus.name, "mlm", train, validation, dict(zip(corpus.tests, tests, strict=True))
    )
