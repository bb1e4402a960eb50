"""attnreplace search."""

from typing import Annotated

import typer

from attnreplace.rundir import DEFAULT_RUN, run_suffix
from attnreplace_cli import console
from attnreplace_cli.options import RunOption, SetOption, configure, words

SMALL = "--method alr --family summaries,pairwise --size s,m"
"""Students that are cheaper than attention where those of a whole sentence are not."""


def search(
    max_drop: Annotated[
        float | None,
        typer.Option(
            "--max-drop",
            "--max-bleu-drop",
            help="How many points below the teacher's the validation score may be: BLEU, "
            "accuracy; of perplexity, above. Default: 0.5.",
        ),
    ] = None,
    minimise: Annotated[
        str | None,
        typer.Option(
            "--minimise",
            "--minimize",
            help="params (default), latency of one sentence, or state: what decoding keeps.",
        ),
    ] = None,
    bundle: Annotated[
        str | None,
        typer.Option("--bundle", help="Bundles to choose from, with commas; default: all."),
    ] = None,
    kind: Annotated[
        str | None,
        typer.Option("--kind", help="Only students that are static, gated, pairwise, attention."),
    ] = None,
    verify: Annotated[
        int | None, typer.Option(help="Systems to build and score, at most; default: 8.")
    ] = None,
    sentences: Annotated[
        int | None, typer.Option(help="Validation examples to read; default: 500.")
    ] = None,
    remeasure: Annotated[
        bool, typer.Option("--remeasure", help="Measure the costs anew that are known.")
    ] = False,
    run: RunOption = DEFAULT_RUN,
    assignments: SetOption = None,
) -> None:
    """Choose by budget: the cheapest student, or attention, at each site within a drop allowed.

    Example: attnreplace search --max-bleu-drop 0.5 --minimise latency
    """
    progress = console.progress()
    from attnreplace.report.search import parse_search, search_sentence, search_table
    from attnreplace.rundir import RunDir
    from attnreplace.search.outcome import outcome_path
    from attnreplace.search.search import search as search_students

    directory = RunDir(run)
    options = {
        "max_drop": max_drop,
        "minimise": minimise,
        "bundles": words(bundle),
        "kinds": words(kind),
        "verify": verify,
        "sentences": sentences,
    }
    config = configure(
        directory, {"search": options}, assignments, stage="search", progress=progress
    ).search
    outcome = search_students(directory, config, remeasure=remeasure, progress=progress)
    path, found = outcome_path(directory, config.minimise), parse_search(outcome, "this search")
    suffix = run_suffix(run)
    if found.verified:
        console.show_table(*search_table(found))
    console.out.print(search_sentence(found))
    if found.chosen is None:
        then = [f"attnreplace distill {SMALL}{suffix}"]
        if found.verified:
            more = 2 * max(found.max_drop, min(one.drop for one in found.verified))
            allowing = f"--max-drop {more:.1f} --minimise {config.minimise}"
            then.insert(0, f"attnreplace search {allowing}{suffix}")
        console.done("search:", path, *then)
        return
    console.done("chosen:", found.chosen.system)
    console.done("spliced model:", path.with_suffix(""))
    console.done("configuration:", path.with_suffix(".toml"))
    with_it = f" --bundle {found.chosen.system}{suffix}"
    next_commands = [f"attnreplace {one}{with_it}" for one in ("eval", "tune")]
    console.done("search:", path, *next_commands, f"attnreplace report{suffix}")
