from pathlib import Path

import pytest

from attnreplace.errors import UserError
from attnreplace.report.overview.choice import headline_of
from attnreplace.report.overview.experiments import load_experiments
from attnreplace.report.overview.picture import headline_chart
from attnreplace.report.overview.readme import BEGIN, END, fill_in, readme_section


def test_the_readme_shows_the_best_of_each_kind(published: Path) -> None:
    experiments, root = load_experiments(published), published.parents[1]
    headline = headline_of(experiments)
    assert headline is not None
    figure = headline_chart(headline)
    section = readme_section(
        experiments, headline, figure, root / "docs" / "results.md", root / "README.md"
    )
    rows = [line for line in section.splitlines() if line.startswith("| ")]
    name = "multi30k-attentionless-de-en"
    heading = f"[de-en](docs/results.md#{name})<br>test_<wbr>2016_<wbr>flickr<br>beam 1"
    assert f"| {heading} |" in rows[0]
    assert rows[2].startswith("| \u2013 | Teacher | \u2013 | 40.0 | 41.0 | 42.0 | 43.0 |")
    assert rows[-1].startswith("| all | ALR-M + ALR-M decoder + ALR-M pairwise cross")
    assert "| pairwise | 40.3 ± 0.1 (+0.3) |" in rows[-1]
    assert not any("multi30k-sizes" in row for row in rows)
    assert "(docs/results.png)" in section and "(experiments/LOG.md)" in section


def test_students_from_scratch_are_not_distilled(tmp_path: Path) -> None:
    results = Path(__file__).parents[4] / "experiments" / "results"
    section = readme_section(
        load_experiments(results), None, None, tmp_path / "p.md", tmp_path / "r.md"
    )
    (row,) = [line for line in section.splitlines() if line.startswith("| [CIFAR-10")]
    students, others = row.split(" | ")[3:5]
    assert "tuned" in students and "from scratch" not in students
    assert others == "47.57 % (amlp)"


def test_only_the_part_between_two_lines_is_written(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n", encoding="utf-8")
    once = fill_in(readme, "new")
    assert once == f"before\n{BEGIN}\n\nnew\n\n{END}\nafter\n"
    readme.write_text(once, encoding="utf-8")
    assert fill_in(readme, "new") == once


@pytest.mark.parametrize(
    "text", ["nothing\n", f"{BEGIN}\n", f"{END}\n{BEGIN}\n", f"{BEGIN}\n{BEGIN}\n{END}\n"]
)
def test_a_readme_without_the_two_lines_is_an_error(tmp_path: Path, text: str) -> None:
    readme = tmp_path / "README.md"
    readme.write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match="needs the lines"):
        fill_in(readme, "new")


def test_a_readme_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no file .*README\.md; name the one"):
        fill_in(tmp_path / "README.md", "new")
