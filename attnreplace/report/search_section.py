"""The page's searches: what was chosen by budget, and among what."""

from collections.abc import Sequence

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
    first = searches[0]
    text = f"Scored on {first.sentences:,} validation examples, greedily where there is decoding."
    measured = [one for one in searches if one.minimise != "params"]
    if measured:
        one = measured[0]
        lengths = f"{one.source_tokens} tokens"
        lengths += f" and {one.new_tokens} new ones" if one.measure.name == "bleu" else ""
        text += f" Time and state: of one example of {lengths}, on {one.device}."
    return f"{text} A system that was chosen on these examples is a little flattered by them."
