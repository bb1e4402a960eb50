"""The program `attnreplace`."""

import ctypes
import errno
import os
import sys
from typing import Annotated

import typer

from attnreplace import __version__
from attnreplace.errors import UserError
from attnreplace_cli import (
    console,
    data,
    distill,
    evaluate,
    extract,
    inspect,
    plan,
    report,
    results,
    run,
    search,
    train,
    translate,
    tune,
)

DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES)
"""A full or write-protected disk: the user's to mend, wherever it strikes."""

INTERRUPTED = 130, 143
"""What a shell makes of an interrupt from the keyboard, typer too, and of SIGTERM."""

M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX = -1, -2, -4
"""Parameters of glibc's mallopt, from its malloc.h."""

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help="Replace a Transformer's attention by attention-free students distilled from it.",
    epilog="Start with `attnreplace run`: every stage on the embedded corpus, in minutes.",
)
app.command()(run.run)
app.command()(train.train)
app.command()(extract.extract)
app.command()(distill.distill)
app.command()(tune.tune)
app.command()(search.search)
app.command("eval")(evaluate.evaluate)
app.command()(report.report)
app.command()(results.results)
app.command()(translate.translate)
app.command()(inspect.inspect)
app.command()(plan.plan)
app.add_typer(data.app, name="data")


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def options(
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks of errors.")] = False,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Take the options that stand before a command."""


def tune_memory() -> None:
    """Ask for huge pages, and glibc to reuse freed blocks rather than to hand them back.

    An update walks through all weights, which at size L are gigabytes: in pages of 4 kB much of its
    time is looking up where they lie. It also allocates gradients of the same sizes anew; fresh
    pages each time cost up to a quarter. Other systems and C libraries go without.
    """
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        mallopt(M_MMAP_MAX, 0)
        mallopt(M_TRIM_THRESHOLD, 2**31 - 1)
        mallopt(M_TOP_PAD, 2**26)


def main() -> None:
    """Run the program; a known error is one line and exit code 2."""
    # Idle threads that spin starve whatever else runs on the machine.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    tune_memory()
    try:
        app()
    except UserError as error:
        if "--debug" in sys.argv:
            raise
        console.error(str(error))
        sys.exit(2)
    except OSError as error:
        if "--debug" in sys.argv or error.errno not in DISK_ERRORS:
            raise
        console.error(
            f"{error}; mend the disk and repeat the command: it goes on from what is there"
        )
        sys.exit(2)
    except SystemExit as end:
        if end.code in INTERRUPTED:
            console.err.print("interrupted; the same command goes on from the last checkpoint")
        raise


if __name__ == "__main__":
    main()
