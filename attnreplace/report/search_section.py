"""The page's searches: what was chosen by budget, and among what."""

from collections.abc import Callable, Sequence

from attnreplace.report.markup import Markup, join, tag
from attnreplace.report.provenance import simple_table
from attnreplace.report.search import Searched, search_sentence, search_table


def search_section(searches: Sequence[Searched], figures: Markup | None) -> Markup:
    """For each cost what came out, the figures, and what was built as tables."""
    parts: list[Markup | None] = []
    for search in searches:
        parts.append(tag("p", search_sentence(search)))
        if search.chosen is not None:
            parts.append(tag("p", tag("code", search.chosen.system)))
    parts.append(figures)
    for search in searches:
        header, rows = search_table(search)
        table = simple_table(header, rows, f"Built for {search.cost.word}", texts=1)
        words = f"The same as a table: {search.cost.word}"
        parts.append(tag("details", tag("summary", words), table))
    parts.append(tag("p", _fine_print(searches), class_="small"))
    return join(parts)


def _fine_print(searches: Sequence[Searched]) -> str:
    examples = _said(searches, lambda one: f"{one.sentences:,} validation examples")
    text = f"Scored on {examples}, greedily where there is decoding."
    measured = [one for one in searches if one.minimise != "params"]
    if measured:
        text += f" Time and state: of one example of {_said(measured, _workload)}."
    return f"{text} A system that was chosen on these examples is a little flattered by them."


def _workload(search: Searched) -> str:
    new = f" and {search.new_tokens} new ones" if search.measure.name == "bleu" else ""
    return f"{search.source_tokens} tokens{new}, on {search.device}"


def _said(searches: Sequence[Searched], words: Callable[[Searched], str]) -> str:
    """What is said of searches; where they differ in it, of each."""
    said = [words(one) for one in searches]
    if len(set(said)) == 1:
        return said[0]
    both = zip(said, searches, strict=True)
    return "; ".join(f"{text} ({one.cost.word})" for text, one in both)
