"""Which set a file or folder belongs to, told by its name."""

import re
from pathlib import Path

from attnreplace.data.reading import Entry, entries
from attnreplace.data.sets import TRAIN, VALIDATION

PACKED = r"(?:\.gz|\.xz)?"
ROWS = re.compile(rf"(?P<stem>.+?)(?:-\d+-of-\d+)?\.(?P<format>tsv|jsonl|parquet){PACKED}")
"""Files of rows with named fields; several may be shards of one set."""
_WORDS = (TRAIN, *VALIDATION, "test")


def set_of(stem: str) -> str | None:
    """The set that a name tells: by beginning with test, or by a word for a set in it."""
    if re.match("test|tst", stem, re.IGNORECASE):
        return stem
    words = re.split(r"[^a-z]+", stem.lower())
    return next((word for word in _WORDS if word in words), None)


def find_parquet(path: Path) -> dict[str, list[Entry]]:
    """The Parquet files in a folder, or in its folder `data` as downloads leave it, by their sets.

    Raises:
        UserError: the folder cannot be read.
    """
    found: dict[str, list[Entry]] = {}
    for folder in (path, path / "data"):
        for file in entries(folder) if folder.is_dir() and not found else []:
            match = ROWS.fullmatch(file.name)
            name = set_of(match["stem"]) if match and match["format"] == "parquet" else None
            if name is not None:
                found.setdefault(name, []).append(file)
    return found
