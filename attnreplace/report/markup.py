"""HTML built from Python values: whatever is not `Markup` is escaped."""

from collections.abc import Iterable
from html import escape
from pathlib import Path

from attnreplace.rundir import run_suffix

VOID = frozenset({"meta", "br"})


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


Child = Markup | str | int | float | None


def tag(name: str, /, *children: Child, **attributes: Child) -> Markup:
    """An element: `tag("a", "top", href="#top")`; children and attributes of None are left out.

    A trailing underscore is dropped from an attribute's name (`class_`), others become hyphens.
    """
    shown = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(str(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name in VOID:
        return Markup(f"<{name}{shown}>")
    return Markup(f"<{name}{shown}>{join(children)}</{name}>")


def join(children: Iterable[Child], separator: str = "") -> Markup:
    """Children one after the other, escaped where they are plain text."""
    return Markup(separator.join(_render(child) for child in children if child is not None))


def _render(child: Child) -> str:
    return child if isinstance(child, Markup) else escape(str(child))


def missing(what: str, command: str, run: Path) -> Markup:
    """Says what the page of a run lacks and how to get it."""
    command += run_suffix(run)
    return tag("p", f"{what}. To fill this in: ", tag("code", command), class_="missing")
