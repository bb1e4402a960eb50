"""The end of the page: settings, over-long sentences, trainings, digests, versions."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from attnreplace.digest import short
from attnreplace.report.markup import Markup, join, tag
from attnreplace.report.recipes import DIGEST, TrainedTable, students_table, tuned_table
from attnreplace.report.result import Result
from attnreplace.report.tables import NOTHING, describe_over_long
from attnreplace.report.training import BundleTraining
from attnreplace.report.tunings import Tuning
from attnreplace.tune.folder import TUNED


def provenance(
    settings: str | None,
    results: Sequence[Result],
    trainings: Sequence[BundleTraining],
    tunings: Sequence[Tuning],
) -> Markup:
    """Everything that is needed to repeat the run, folded away."""
    own = [what for what, there in (("students", trainings), ("tuned models", tunings)) if there]
    more = f"; {' and '.join(own)} have their own, below" if own else ""
    parts = [
        (f"Settings of the run (config.toml){more}", tag("pre", settings) if settings else None),
        ("Sentences over the limit", _over_long(results)),
        ("How the students were trained", _trained(students_table(trainings))),
        ("How the tuned models were trained", _trained(tuned_table(tunings))),
        ("Digests", _digests(results, trainings, tunings)),
        ("Versions and devices", _versions(results, trainings, tunings)),
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


def _trained(table: TrainedTable | None) -> Markup | None:
    if table is None:
        return None
    shared = f"The same for all: {table.shared}." if table.shared else None
    return join(
        [
            tag("p", shared, class_="small") if shared else None,
            simple_table(table.header, table.rows, table.title, texts=table.texts),
        ]
    )


def _digests(
    results: Sequence[Result], trainings: Sequence[BundleTraining], tunings: Sequence[Tuning]
) -> Markup | None:
    """Those of what all share, and of systems that are neither one bundle nor tuned."""
    digests = [r.digests for r in results] + [t.digests for t in trainings]
    common = [
        (kind, tag("code", digest))
        for kind in ("teacher", "tokenizer", "data")
        for digest in _distinct(each.get(kind) for each in digests)
    ]
    told = {t.name for t in trainings} | {TUNED + t.name for t in tunings}
    joined = {
        r.name: tag("code", short(digest))
        for r in results
        if r.name not in told and (digest := r.digests.get("bundle"))
    }
    parts = []
    if common:
        parts.append(simple_table(["What", "SHA-256"], common, "Digests"))
    if joined:
        header = ["System", DIGEST]
        parts.append(simple_table(header, joined.items(), "Other systems"))
    return join(parts) if parts else None


def _versions(
    results: Sequence[Result], trainings: Sequence[BundleTraining], tunings: Sequence[Tuning]
) -> Markup | None:
    records: list[Mapping[str, Any]] = [r.versions for r in results]
    records += [t.versions for t in trainings] + [t.versions for t in tunings]
    names = sorted({name for versions in records for name in versions})
    rows = [(name, ", ".join(_distinct([v.get(name) for v in records]))) for name in names]
    devices = _distinct([f"{r.device}, threads: {_shown(r.threads)}" for r in results if r.device])
    rows += [("device", device) for device in devices]
    return simple_table(["What", "Version"], rows, "Versions and devices") if rows else None


def _distinct(values: Iterable[Any]) -> list[str]:
    return list(dict.fromkeys(str(value) for value in values if value is not None))


def _shown(value: Any) -> str:
    return NOTHING if value is None or value == "" else str(value)
