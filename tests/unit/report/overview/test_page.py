from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import pytest

from attnreplace.report.overview.experiments import load_experiments
from attnreplace.report.overview.page import results_page
from attnreplace.report.results_section import NON_CAUSAL_NOTE
from attnreplace.rundir import write_json


def page_of(folder: Path) -> str:
    return results_page(load_experiments(folder), folder.parents[1] / "docs" / "results.md", None)


def test_tables_of_the_paper_kinds_and_experiments(published: Path) -> None:
    page = page_of(published)
    headings = [line for line in page.splitlines() if line.startswith("#")]
    assert headings == [
        "# Results",
        "## The paper's tables",
        "### Multi30k",
        "## Kinds of students",
        "### Multi30k, kinds",
        "## Experiments",
        *(f"### multi30k-attentionless-{pair}" for pair in ("de-en", "en-de", "en-fr", "fr-en")),
        "### multi30k-sizes",
    ]
    assert "[The log](../experiments/LOG.md)" in page
    assert "[records](../experiments/results/multi30k-sizes)" in page
    assert "[configuration](../experiments/multi30k-attentionless.toml)" in page


def test_the_log_is_found_from_wherever_the_program_is_run(
    published: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(published)
    page = results_page(load_experiments(Path(".")), Path("../../docs/results.md"), None)
    assert "[The log](../experiments/LOG.md)" in page


def test_the_papers_tables_hold_its_students_alone(published: Path) -> None:
    page = page_of(published)
    papers = page[page.index("### Multi30k\n") : page.index("## Kinds of students")]
    titles = ["Encoder self-attention", "Decoder self-attention", "Cross-attention"]
    places = [papers.index(f"**{title}**") for title in [*titles, "All attention"]]
    assert places == sorted(places)
    tables = [papers[start:end] for start, end in pairwise([*places, len(papers)])]
    rows = [[line for line in table.splitlines() if line.startswith("| ")] for table in tables]
    systems = [
        [
            name
            for row in found
            if (name := row.split(" | ")[0].strip("| ")) not in ("System", "---")
        ]
        for found in rows
    ]
    assert systems == [
        ["Teacher", "Attention removed", "ALR-M"],
        ["Teacher", "ALR-M decoder"],
        [
            "Teacher",
            "Cross-attention removed",
            "ALR-M cross, untrained",
            "ALR-M cross",
            "ALR-M cross, paper's non-causal form",
            # A table of their own for those of another configuration.
            "Teacher",
            "ALR-M cross",
            "ALR-M cross, paper's non-causal form",
        ],
        ["Teacher", "ALR-M all"],
    ]
    # Only what replaces cross-attention was evaluated in all of the experiments.
    assert ["multi30k-sizes" in table for table in tables] == [False, False, True, False]
    first, second = (row for row in rows[2] if row.startswith("| System"))
    assert "multi30k-attentionless-fr-en" in first and "multi30k-sizes" not in first
    assert "multi30k-sizes" in second and "attentionless" not in second
    assert "\nKinds of students: every one of them.\n" in tables[2]
    assert [NON_CAUSAL_NOTE in table for table in tables] == [False, False, True, False]


def test_students_are_weighed_against_what_they_replace(published: Path) -> None:
    page = page_of(published)
    row = next(line for line in page.splitlines() if "| ALR-M pairwise cross, scores" in line)
    cells = "pairwise | 34.0 k / 297 k | 39.6 (\u22120.4) |"
    assert row.startswith(f"| cross | ALR-M pairwise cross, scores pairs | {cells}")


def test_other_tasks_have_a_table_a_measure(tmp_path: Path, made: SimpleNamespace) -> None:
    for metric in ("accuracy", "perplexity"):
        for number, record in enumerate(made.encoder_records(metric)):
            write_json(tmp_path / metric / "records" / f"{number}.json", record)
    page = page_of(tmp_path)
    assert "## The paper's tables" not in page and "Kinds of students" not in page
    encoders = page[page.index("## Images") : page.index("## Experiments")]
    assert "**Accuracy**" in encoders and "**Perplexity, lower is better**" in encoders
    assert "| [accuracy](#accuracy)<br>test |" in encoders
    assert "| ALR-M | static | 96.25 % |" in encoders
