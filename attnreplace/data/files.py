"""The sets of a folder or zip of corpus files, found by the names of the files.

For the pair de-en these are read, where several name the same set the uppermost, .gz and .xz too:

    train.tags.de-en.{de,en}              official IWSLT training text, the set "train"
    IWSLT17.TED.tst2010.de-en.{de,en}.xml official IWSLT XML, the set "tst2010"
    train.de-en.{de,en}, train.{de,en}    plain text, one sentence a line, of any set
    train.parquet, train.jsonl            rows with a `translation`; shards (-00000-of-00002) too

Files named for the other direction (en-de) serve as well.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from attnreplace.data.corpus import Pairs
from attnreplace.data.iwslt2017 import archive_file, read_tagged, read_xml
from attnreplace.data.reading import Entry, Reader, entries, read_parallel
from attnreplace.data.rows import read_rows
from attnreplace.data.sets import TRAIN, validation_set
from attnreplace.errors import UserError

_TAG, _LANGUAGE = r"\.(?P<tag>[a-z]{2,3}-[a-z]{2,3})", r"\.(?P<language>[a-z]{2,3})"
_PACKED = r"(?:\.gz|\.xz)?"

# Official files come first: old archives hold an unaligned `train.en` beside `train.tags.*`.
_ParallelReader = Callable[[Entry, Entry], Pairs]
_PARALLEL: list[tuple[re.Pattern[str], _ParallelReader]] = [
    (re.compile(rf"(?P<set>train)\.tags{_TAG}{_LANGUAGE}{_PACKED}"), read_tagged),
    (re.compile(rf"(?P<set>.+?)(?:{_TAG})?{_LANGUAGE}\.xml{_PACKED}"), read_xml),
    (re.compile(rf"(?P<set>.+?)(?:{_TAG})?{_LANGUAGE}{_PACKED}"), read_parallel),
]
_ROWS = re.compile(
    r"(?P<set>(?:train|val|dev|test|tst)[^.]*?)(?:-\d+-of-\d+)?"
    r"\.(?P<format>jsonl|parquet)(?:\.gz|\.xz)?"
)
_RELEASE = re.compile(r"IWSLT\d+\.(?:TED\.)?")


@dataclass
class _Candidate:
    """Files from which one set can be read."""

    read: _ParallelReader
    sides: dict[str, Entry] = field(default_factory=dict)


def find_sets(path: Path, pair: str) -> dict[str, Reader]:
    """Readers of the sets under `path`, by their names, sorted.

    Where `path` itself holds none, the folders and archives that downloads leave in it are tried.

    Raises:
        UserError: there is no such folder or zip, or it holds nothing for the pair.
    """
    files = entries(path)
    found = _sets(files, pair)
    for inner in _inner_places(path, pair):
        if not found and inner.exists():
            found = _sets(entries(inner), pair)
    if not found:
        source, target = pair.split("-")
        names = ", ".join(file.name for file in files[:5]) or "nothing"
        raise UserError(
            f"{path} holds no files for {pair} (but {names}{', ...' if files[5:] else ''}); give a "
            f"folder or zip with train.{source} and train.{target}, the official IWSLT files, or "
            'JSON lines or Parquet with a "translation" field'
        )
    return found


def _inner_places(path: Path, pair: str) -> list[Path]:
    if not path.is_dir():
        return []
    back = "-".join(reversed(pair.split("-")))
    ways = (pair, back)
    return [
        *(path / way for way in ways),
        *(path / f"{way}.zip" for way in ways),
        *(path / archive_file(way) for way in ways),
        path / "data",
    ]


def _sets(files: list[Entry], pair: str) -> dict[str, Reader]:
    """Readers of the sets among the files, by their names."""
    languages = pair.split("-")
    tags = [pair, "-".join(reversed(languages)), None]
    ranked: dict[str, dict[tuple[int, int], _Candidate]] = {}
    rows: dict[str, dict[str, list[Entry]]] = {}
    for file in files:
        if match := _ROWS.fullmatch(file.name):
            rows.setdefault(match["set"], {}).setdefault(match["format"], []).append(file)
            continue
        for rank, (pattern, read) in enumerate(_PARALLEL):
            match = pattern.fullmatch(file.name)
            if match and match["language"] in languages and match["tag"] in tags:
                candidates = ranked.setdefault(_RELEASE.sub("", match["set"]), {})
                candidate = candidates.setdefault(
                    (rank, tags.index(match["tag"])), _Candidate(read)
                )
                candidate.sides.setdefault(match["language"], file)
                break
    found: dict[str, Reader] = {}
    for name, candidates in ranked.items():
        best = _best(candidates)
        if len(best.sides) == 2:
            found[name] = partial(best.read, *(best.sides[language] for language in languages))
        elif name not in rows and (name == TRAIN or validation_set([name])):
            found[name] = partial(_one_sided, best, pair)
    for name, formats in rows.items():
        shards = formats.get("parquet") or formats["jsonl"]
        found.setdefault(name, partial(read_rows, shards, pair))
    return dict(sorted(found.items()))


def _best(candidates: dict[tuple[int, int], _Candidate]) -> _Candidate:
    """The first candidate with both languages, or else the first."""
    ordered = [candidates[rank] for rank in sorted(candidates)]
    return next((candidate for candidate in ordered if len(candidate.sides) == 2), ordered[0])


def _one_sided(candidate: _Candidate, pair: str) -> Pairs:
    ((present, file),) = candidate.sides.items()
    missing = next(language for language in pair.split("-") if language != present)
    raise UserError(
        f'{file.where} has no counterpart in "{missing}"; add that file or choose another pair'
    )
