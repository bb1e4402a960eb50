"""IWSLT 2017: the official archive on the Hub, and the formats in it.

Training text lies in `train.tags.de-en.{de,en}`, one sentence a line between lines of metadata;
development and test sets in `IWSLT17.TED.tst2010.de-en.{de,en}.xml`.
"""

import html
import re
from pathlib import Path
from xml.etree import ElementTree

from attnreplace.data.corpus import Pairs
from attnreplace.data.hub import download
from attnreplace.data.reading import Entry, one_line, paired, read_parallel, read_text
from attnreplace.errors import UserError

REPO = "IWSLT/iwslt2017"
TEST_SETS = [f"tst{year}" for year in range(2010, 2016)]
_LANGUAGES = ("ar", "de", "fr", "ja", "ko", "zh")
PAIRS = sorted(f"{x}-en" for x in _LANGUAGES) + sorted(f"en-{x}" for x in _LANGUAGES)

_METADATA = re.compile(
    r"<(?:/|(?:url|keywords|speaker|talkid|title|description|translator|reviewer|doc)\b)"
)
_SEGMENT = re.compile(r"<seg\b[^>]*\bid=\"([^\"]*)\"[^>]*>(.*?)</seg>", re.DOTALL)


def archive_file(pair: str) -> str:
    """Path of a pair's archive in the Hub repository."""
    source, target = pair.split("-")
    return f"data/2017-01-trnted/texts/{source}/{target}/{pair}.zip"


def fetch_archive(pair: str) -> Path:
    """The pair's official archive, from the local cache of the Hub or from the Hub.

    Raises:
        UserError: IWSLT 2017 lacks the pair, or the archive cannot be fetched.
    """
    if pair not in PAIRS:
        raise UserError(f"iwslt2017 has no pair {pair}; choose one of {', '.join(PAIRS)}")
    return download(REPO, archive_file(pair))


def read_tagged(source: Entry, target: Entry) -> Pairs:
    """Pairs of two `train.tags` files, their metadata dropped in step.

    Raises:
        UserError: a file cannot be read, or the two are out of step.
    """
    pairs = read_parallel(source, target)
    both = list(zip(pairs.source, pairs.target, strict=True))
    for number, (a, b) in enumerate(both, start=1):
        if a.startswith("<url>") != b.startswith("<url>"):
            raise UserError(
                f"misaligned: a talk begins at line {number} of only one of {source.where} and "
                f"{target.where}; take both files from the same release"
            )
    kept = [(a, b) for a, b in both if not _METADATA.match(a) and not _METADATA.match(b)]
    return Pairs([a for a, _ in kept], [b for _, b in kept])


def read_xml(source: Entry, target: Entry) -> Pairs:
    """Pairs of two XML files, segment by segment.

    Raises:
        UserError: a file cannot be read or has no segments, or the two are out of step.
    """
    sources, targets = _segments(source), _segments(target)
    pairs = paired(source, target, [text for _, text in sources], [text for _, text in targets])
    for (a, _), (b, _) in zip(sources, targets, strict=True):
        if a != b:
            raise UserError(
                f"misaligned: segment {a} of {source.where} stands beside segment {b} of "
                f"{target.where}; take both files from the same release"
            )
    return pairs


def _segments(entry: Entry) -> list[tuple[str, str]]:
    """Identifiers, which begin anew in each talk, and texts."""
    text = read_text(entry)
    try:
        root = ElementTree.fromstring(text)
        found = [(seg.get("id", ""), "".join(seg.itertext())) for seg in root.iter("seg")]
    except ElementTree.ParseError:
        # Some official files hold bare ampersands.
        found = [(key, html.unescape(body)) for key, body in _SEGMENT.findall(text)]
    if not found:
        raise UserError(f"{entry.where} holds no <seg id=...>; is it an IWSLT XML file?")
    return [(key, one_line(body)) for key, body in found]
