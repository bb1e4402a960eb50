"""The page's sample translations."""

from collections.abc import Sequence

from attnreplace.report.markup import Markup, join, tag
from attnreplace.report.samples import RULE, Sample, departures


def samples_section(samples: Sequence[Sample]) -> Markup:
    """Source, reference and translations, with marks where a system departs from the teacher."""
    marks = tag("mark", "Underlined")
    parts = [tag("p", f"{RULE} ", marks, ": not in the teacher's translation.", class_="small")]
    source_language, _, target_language = samples[0].hypotheses[0][0].pair.partition("-")
    for number, sample in enumerate(samples, start=1):
        teacher = sample.hypotheses[0][1]
        same: dict[str, list[str]] = {}
        for result, text in sample.hypotheses:
            same.setdefault(text, []).append(result.label)
        systems = [
            tag(
                "div",
                tag("dt", ", ".join(names)),
                tag("dd", *_marked(teacher, text), lang=target_language, dir="auto"),
            )
            for text, names in same.items()
        ]
        given = [
            tag("div", tag("dt", name), tag("dd", text, lang=language, dir="auto"))
            for name, text, language in (
                ("Source", sample.source, source_language),
                ("Reference", sample.reference, target_language),
            )
        ]
        parts.append(
            tag(
                "article",
                tag("h3", f"Sentence {number}"),
                tag("dl", *given, class_="given"),
                tag("dl", *systems, class_="systems"),
                class_="sample",
            )
        )
    return join(parts)


def _marked(teacher: str, text: str) -> list[Markup | str]:
    """A translation with the words marked that are not the teacher's."""
    if not text.strip():
        return [tag("span", "(nothing)", class_="quiet")]
    pieces = departures(teacher, text)
    shown = [tag("mark", piece) if new else piece for piece, new in pieces]
    return [part for piece in shown for part in (piece, " ")]
