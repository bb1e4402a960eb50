"""What the page says of one experiment."""

import os
from pathlib import Path

from attnreplace.report.metrics import MEASURES
from attnreplace.report.overview.experiments import Experiment, describe_data
from attnreplace.report.tables import P_NOTE, cost_columns, markdown_table


def experiment_section(experiment: Experiment, page: Path) -> str:
    """Its title, teacher and data, quality, and, folded away, cost and error.

    Args:
        experiment: the experiment.
        page: where the section will stand: its links start there.
    """
    links = [f"[records]({link(experiment.folder, page)})"]
    if experiment.source is not None:
        links.insert(0, f"[configuration]({link(experiment.source, page)})")
    lines = [f"{experiment.about} ({', '.join(links)}).", f"Data: {describe_data(experiment)}."]
    if experiment.teacher:
        lines.append(f"Teacher: {experiment.teacher}.")
    parts = [f"### {experiment.name}", "  \n".join(lines + _signatures(experiment))]
    parts.append(markdown_table(experiment.records, cost=False))
    if any(result.p is not None for result in experiment.results):
        parts.append(P_NOTE)
    # What a system costs was measured once, whatever it reads.
    first = experiment.test_sets[0]
    if cost_columns([result for result in experiment.results if result.test_set == first]):
        records = [record for record in experiment.records if record["test_set"] == first]
        table = markdown_table(records, quality=False)
        parts.append(f"<details><summary>Cost and error</summary>\n\n{table}\n</details>")
    return "\n\n".join(part.rstrip("\n") for part in parts)


def link(path: Path, page: Path) -> str:
    """A relative link from a page to a file."""
    return Path(os.path.relpath(path.resolve(), page.resolve().parent)).as_posix()


def _signatures(experiment: Experiment) -> list[str]:
    """What is needed to reproduce the scores, where their names do not say it all."""
    found = {
        (name, score.signature): None
        for result in experiment.results
        for name, score in result.scores.items()
        if score.signature
    }
    texts = [f"{MEASURES[name].label} `{signature}`" for name, signature in sorted(found)]
    return [f"Scores: {', '.join(texts)}."] if texts else []
