"""The embedded corpus: a small grammar in English, German and French."""

from attnreplace.data.grammar.corpus import PAIRS, grammar_corpus

__all__ = ["PAIRS", "grammar_corpus"]
