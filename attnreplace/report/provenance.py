"""The end of the page: settings, over-long sentences, recipes, seeds, digests, versions."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from attnreplace.digest import short
from attnreplace.report.markup import Markup, join, tag
from attnreplace.report.result import Result
from attnreplace.report.tables import NOTHING, describe_over_long
from attnreplace.report.training import BundleTraining


def provenance(
    settings: str | None, results: Sequence[Result], trainings: Sequence[BundleTraining]
) -> Markup:
    """Everything that is needed to repeat the run, folded away."""
    parts = [
        ("Settings (config.toml)", tag("pre", settings) if settings else None),
        ("Sentences over the limit", _over_long(results)),
        ("Recipes, seeds and digests", _digests(results, trainings)),
        ("Versions and devices", _versions(results, trainings)),
    ]
    return join(
        tag("details", tag("summary", heading), content) for heading, content in parts if content
    )


def simple_table(
    header: Sequence[str], rows: Iterable[Sequence[str | Markup]], label: str, texts: int = 99
) -> Markup:
    """A table in a box that scrolls sideways; the first `texts` columns are text, not figures."""
    head = [
        tag("th", cell, scope="col", class_="text" if i < texts else None)
        for i, cell in enumerate(header)
    ]
    body = [
        tag(
            "tr",
            tag("th", row[0], scope="row"),
            *(
                tag("td", cell, class_="text" if i < texts else None)
                for i, cell in enumerate(row[1:], start=1)
            ),
        )
        for row in rows
    ]
    return scroll(tag("table", tag("thead", tag("tr", *head)), tag("tbody", *body)), label)


def scroll(table: Markup, label: str) -> Markup:
    """A box that scrolls sideways, by keyboard too."""
    return tag("div", table, class_="scroll", tabindex="0", role="region", aria_label=label)


def _over_long(results: Sequence[Result]) -> Markup | None:
    """What was done on each test set; systems for which it is the same share a line."""
    systems: dict[tuple[str, str], list[str]] = {}
    for result in results:
        if result.task != "translation" and result.over_long.count is None:
            continue  # There is no limit that could be passed.
        text = describe_over_long(result.over_long, result.example)
        labels = systems.setdefault((result.test_set, text), [])
        if result.label not in labels:
            labels.append(result.label)
    everyone = {result.label for result in results}
    lines = [
        tag(
            "li",
            f"“{test_set}”: {text}. ",
            tag("span", "All systems" if set(labels) == everyone else ", ".join(labels), "."),
        )
        for (test_set, text), labels in systems.items()
    ]
    return tag("ul", *lines, class_="small") if lines else None


def _digests(results: Sequence[Result], trainings: Sequence[BundleTraining]) -> Markup | None:
    digests = [r.digests for r in results] + [t.digests for t in trainings]
    common = [
        (kind, tag("code", digest))
        for kind in ("teacher", "tokenizer", "data")
        for digest in _distinct(each.get(kind) for each in digests)
    ]
    bundles = {
        t.name: (_named(t.name, t.variant), _shown(t.recipe), _shown(t.seed), NOTHING)
        for t in trainings
    }
    for result in results:
        digest = result.digests.get("bundle")
        if digest:
            start = tag("code", short(digest))
            name = _named(result.name, result.variant)
            bundles[result.name] = (name, _shown(result.recipe), _shown(result.seed), start)
    parts = []
    if common:
        parts.append(simple_table(["What", "SHA-256"], common, "Digests"))
    if bundles:
        header = ["Bundle", "Recipe", "Seed", "SHA-256, first digits"]
        parts.append(simple_table(header, bundles.values(), "Bundles"))
    return join(parts) if parts else None


def _versions(results: Sequence[Result], trainings: Sequence[BundleTraining]) -> Markup | None:
    records: list[Mapping[str, Any]] = [r.versions for r in results]
    records += [t.versions for t in trainings]
    names = sorted({name for versions in records for name in versions})
    rows = [(name, ", ".join(_distinct([v.get(name) for v in records]))) for name in names]
    devices = _distinct([f"{r.device}, threads: {_shown(r.threads)}" for r in results if r.device])
    rows += [("device", device) for device in devices]
    return simple_table(["What", "Version"], rows, "Versions and devices") if rows else None


def _named(name: str, variant: str) -> str:
    return f"{name} ({variant})" if variant else name


def _distinct(values: Iterable[Any]) -> list[str]:
    return list(dict.fromkeys(str(value) for value in values if value is not None))


def _shown(value: Any) -> str:
    return NOTHING if value is None or value == "" else str(value)
