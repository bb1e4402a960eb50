"""Write the page of all results, its figure, and the README's part, from published records."""

from pathlib import Path

from attnreplace.report.canvas import Chart
from attnreplace.report.overview.choice import headline_of
from attnreplace.report.overview.experiments import load_experiments
from attnreplace.report.overview.page import results_page
from attnreplace.report.overview.picture import headline_chart
from attnreplace.report.overview.readme import fill_in, readme_section
from attnreplace.rundir import write_text


def write_results(folder: Path, page: Path, readme: Path | None = None) -> None:
    """Write a page of all experiments published in a folder.

    Args:
        folder: with a folder an experiment, as `publish` writes them.
        page: the Markdown file; the headline's figure lies beside it.
        readme: a file whose part between two lines is written anew as well.

    Raises:
        UserError: there are no experiments, a record is broken, or the readme lacks the two lines.
    """
    texts, figure = results_texts(folder, page, readme)
    page.parent.mkdir(parents=True, exist_ok=True)
    if figure is not None:
        figure.save_png(page.with_name(f"{figure.name}.png"))
    for path, text in texts.items():
        write_text(path, text)


def results_texts(
    folder: Path, page: Path, readme: Path | None = None
) -> tuple[dict[Path, str], Chart | None]:
    """What `write_results` writes: texts by file, and the headline's figure where there is one.

    Arguments and errors are those of `write_results`.
    """
    experiments = load_experiments(folder)
    headline = headline_of(experiments)
    figure = None if headline is None else headline_chart(headline)
    texts = {page: results_page(experiments, page, figure)}
    if readme is not None:
        section = readme_section(experiments, headline, figure, page, readme)
        texts[readme] = fill_in(readme, section)
    return texts, figure
