"""The page and the README say what the records say."""

from pathlib import Path

from PIL import Image
from typer.testing import CliRunner

from attnreplace.report.overview.readme import BEGIN, END
from attnreplace.report.overview.write import results_texts
from attnreplace_cli.main import app

ROOT = Path(__file__).parents[4]
PAGE = ROOT / "docs" / "results.md"


def test_page_readme_and_figure_are_those_of_the_records() -> None:
    texts, figure = results_texts(ROOT / "experiments" / "results", PAGE, ROOT / "README.md")
    assert figure is not None
    for path, text in texts.items():
        same = path.read_text(encoding="utf-8") == text
        assert same, f"{path.name} is not what the records say; repeat `make results`"
    # A figure's pixels depend on the version of matplotlib; its numbers stand in the file, too.
    with Image.open(PAGE.with_name("results.png")) as image:
        assert image.info["Description"] == figure.alt, "repeat `make results`"


def test_the_command_writes_page_figure_and_readme(published: Path, tmp_path: Path) -> None:
    page, readme = tmp_path / "docs" / "results.md", tmp_path / "README.md"
    readme.write_text(f"{BEGIN}\n{END}\n", encoding="utf-8")
    arguments = ["results", str(published), "--page", str(page), "--readme", str(readme)]
    said = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert said.exit_code == 0 and str(page) in said.stdout.replace("\n", "")
    texts, _ = results_texts(published, page, readme)
    assert {path: path.read_text(encoding="utf-8") for path in texts} == texts
    assert page.with_name("results.png").is_file()
