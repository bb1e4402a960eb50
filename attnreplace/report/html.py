"""The page: one HTML file that needs nothing else."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from attnreplace.report.canvas import NARROW, Chart
from attnreplace.report.diagnosis import Diagnosed
from attnreplace.report.diagnosis_section import diagnosis_section
from attnreplace.report.diagnosis_tables import TITLE
from attnreplace.report.errors_section import errors_section
from attnreplace.report.headline import headline
from attnreplace.report.markup import Markup, join, missing, tag
from attnreplace.report.provenance import provenance
from attnreplace.report.result import Result
from attnreplace.report.results_section import results_section
from attnreplace.report.samples import Sample
from attnreplace.report.samples_section import samples_section
from attnreplace.report.search import Searched
from attnreplace.report.search_section import search_section
from attnreplace.report.selection import beyond_headline, headline_results, join_seeds, of_kind
from attnreplace.report.style import CSS
from attnreplace.report.training import BundleTraining
from attnreplace.report.tunings import Tuning


@dataclass(frozen=True)
class Contents:
    """What a page shows; what is empty or None is left out with a line that says how to get it."""

    run: Path
    """Its folder, as it was asked for."""

    task: str
    results: Sequence[Result]
    left_out: Sequence[str]
    """As for `results_section`."""
    quality: Sequence[Chart]
    searches: Sequence[Searched]
    searched: Sequence[Chart]
    """Figures of these."""
    diagnoses: Sequence[Diagnosed]
    diagnosed: Chart | None
    """Figure of these."""
    errors: Chart | None
    error_values: Mapping[str, Mapping[str, float]]
    training: Sequence[Chart]
    trainings: Sequence[BundleTraining]
    tunings: Sequence[Tuning]
    pictures: Sequence[Chart]
    samples: Sequence[Sample]
    settings: str | None


def page(contents: Contents) -> str:
    """The whole document."""
    name = contents.run.resolve().name
    sections = [
        ("quality", "Quality against cost", _quality(contents)),
        ("results", "Results", _results(contents)),
        ("layers", "Layer by layer", _layers(contents)),
        ("training", "Training", _training(contents)),
        ("pictures", "What reads what", _pictures(contents)),
        ("settings", "How it was made", _settings(contents)),
    ]
    if contents.task == "translation":
        samples = "samples", "Translations", _samples(contents)
        sections.insert(-1, samples)
    if contents.diagnosed:
        figures = _figures([contents.diagnosed])
        sections.insert(2, ("diagnosis", TITLE, diagnosis_section(contents.diagnoses, figures)))
    if contents.searches:
        sections.insert(1, ("search", "Chosen by budget", _search(contents)))
    links = [tag("li", tag("a", words, href=f"#{key}")) for key, words, _ in sections]
    body = tag(
        "div",
        tag(
            "header",
            tag("p", "Attention replacement", class_="small"),
            tag("h1", name),
            _top(contents),
            tag("nav", tag("ul", *links), aria_label="Sections"),
        ),
        tag(
            "main",
            *(
                tag(
                    "section",
                    tag("h2", words, id=f"{key}-title"),
                    content,
                    id=key,
                    aria_labelledby=f"{key}-title",
                )
                for key, words, content in sections
            ),
        ),
        class_="page",
    )
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", f"{name}: attention replacement"),
        tag("style", Markup(CSS)),
    )
    return f"<!doctype html>\n{tag('html', head, tag('body', body), lang='en')}\n"


def _top(contents: Contents) -> Markup:
    if not contents.results:
        return missing("No results yet", "attnreplace eval", contents.run)
    return headline(join_seeds(headline_results(contents.results)))


def _quality(contents: Contents) -> Markup:
    others = beyond_headline(contents.results) if contents.results else []
    if not contents.quality and not others:
        return missing("No student was evaluated", "attnreplace eval", contents.run)
    shown = headline_results(contents.results)[0]
    beam = "" if shown.beam is None else f", beam {shown.beam}"
    where = f"{shown.measure.label} on “{shown.test_set}”{beam}"
    parts = []
    if contents.quality:
        parts += [tag("p", f"{where}.", class_="small"), _figures(contents.quality)]
    if others:
        note = f"Not shown here, as they were not evaluated in {where}: {'; '.join(others)}."
        parts.append(tag("p", note, class_="small"))
    costless = [r for r in headline_results(contents.results) if r.replacement is None]
    labels = dict.fromkeys(result.short_label for result in of_kind(costless, "student"))
    if labels and contents.quality:
        note = f"Not shown here, as no cost was measured with this result: {'; '.join(labels)}."
        parts.append(tag("p", note, class_="small"))
    return join(parts)


def _search(contents: Contents) -> Markup:
    figures = _figures(contents.searched) if contents.searched else None
    return search_section(contents.searches, figures)


def _results(contents: Contents) -> Markup:
    return results_section(contents.results, contents.left_out, contents.run)


def _layers(contents: Contents) -> Markup:
    if contents.errors is None:
        return missing("No student was trained", "attnreplace distill", contents.run)
    return errors_section(contents.error_values, _figures([contents.errors]), contents.results)


def _training(contents: Contents) -> Markup:
    names = {chart.name for chart in contents.training}
    parts = [_figures(contents.training)] if names else []
    if "teacher_training" not in names:
        what = "No record of the teacher's training"
        parts.append(missing(what, "attnreplace train", contents.run))
    if "students_training" not in names:
        parts.append(missing("No students' histories", "attnreplace distill", contents.run))
    return join(parts)


def _pictures(contents: Contents) -> Markup:
    if not contents.pictures:
        return missing("No pictures were made", "attnreplace report --pictures", contents.run)
    return _figures(contents.pictures, beside=False)


def _samples(contents: Contents) -> Markup:
    if not contents.samples:
        what = "No translations are kept beside the results"
        return missing(what, "attnreplace eval", contents.run)
    return samples_section(contents.samples)


def _settings(contents: Contents) -> Markup:
    content = provenance(contents.settings, contents.results, contents.trainings, contents.tunings)
    return content or missing("No settings are recorded", "attnreplace train", contents.run)


def _figures(charts: Sequence[Chart], beside: bool = True) -> Markup:
    """Each chart for wide and for narrow screens; the style sheet shows one of the two.

    Several stand two beside each other where there is room, unless `beside` is False.
    """
    figures = [
        tag(
            "figure",
            tag("figcaption", tag("h3", chart.title), tag("div", chart.caption, class_="small")),
            tag("div", chart.svg(chart.wide), class_="wide"),
            tag("div", chart.svg(NARROW), class_="narrow"),
        )
        for chart in charts
    ]
    return tag(
        "div", *figures, class_="figures" if beside and len(figures) > 1 else "figures alone"
    )
