import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_every_package_is_listed_for_installation():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    found = {
        ".".join(init.parent.relative_to(ROOT).parts)
        for init in (ROOT / "attnreplace").rglob("__init__.py")
    }
    assert found | {"attnreplace_cli"} == set(settings["packages"])


def test_the_library_never_names_the_command_line():
    for path in (ROOT / "attnreplace").rglob("*.py"):
        assert "attnreplace_cli" not in path.read_text(encoding="utf-8"), path


def test_readme_lists_every_file_of_the_tree():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for folder in ("attnreplace", "cli", "experiments"):
        for path in (ROOT / folder).rglob("*"):
            shown = path.suffix in (".py", ".toml", ".md") and "results" not in path.parts
            if shown and path.name != "__init__.py" and "__pycache__" not in path.parts:
                assert path.name in readme, f"{path.relative_to(ROOT)} is missing in README.md"
