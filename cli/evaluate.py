"""attnreplace eval."""

from typing import Annotated

import typer

from attnreplace.errors import UserError
from attnreplace.rundir import DEFAULT_RUN, run_suffix
from attnreplace_cli import console
from attnreplace_cli.options import (
    BundleOption,
    RunOption,
    SetOption,
    bundles,
    configure,
    site_groups,
    words,
)


def evaluate(
    bleu: Annotated[
        bool, typer.Option("--bleu", help="sacreBLEU and chrF of translations.")
    ] = False,
    accuracy: Annotated[
        bool, typer.Option("--accuracy", help="Of classifying images or texts.")
    ] = False,
    perplexity: Annotated[
        bool, typer.Option("--perplexity", help="At masked tokens of running text.")
    ] = False,
    similarity: Annotated[
        bool, typer.Option("--similarity", help="Of sentence embeddings to the teacher's.")
    ] = False,
    diagnose: Annotated[
        bool,
        typer.Option(
            "--diagnose",
            help="Instead: which layers, positions and lengths translations lose most by.",
        ),
    ] = False,
    bundle: BundleOption = None,
    sites: Annotated[
        str | None,
        typer.Option(help="Without --bundle: only bundles of encoder, decoder, cross; or all."),
    ] = None,
    test_set: Annotated[
        str | None, typer.Option(help="Test sets, with commas; default: all of the corpus.")
    ] = None,
    beam: Annotated[str | None, typer.Option(help="Beam widths, with commas.")] = None,
    over_long: Annotated[
        str | None, typer.Option(help="Sentences over a limit: error, truncate or teacher.")
    ] = None,
    baselines: Annotated[
        bool | None, typer.Option(help="Attention removed and untrained students, too.")
    ] = None,
    cost: Annotated[
        bool | None, typer.Option(help="Measure operations, latency and memory.")
    ] = None,
    remeasure: Annotated[
        bool, typer.Option("--remeasure", help="Measure the cost of kept records anew.")
    ] = False,
    run: RunOption = DEFAULT_RUN,
    assignments: SetOption = None,
) -> None:
    """Splice students into the teacher and score them on the test sets.

    Without --bleu, --accuracy, --perplexity or --similarity: by what the run's task is judged by.
    With --diagnose spliced models are compared with their teacher token by token instead.

    Example: attnreplace eval --bleu --bundle alrr-m,alr-m+alr-m-decoder:0-2 --beam 1,5
    """
    asked = {
        "bleu": bleu,
        "accuracy": accuracy,
        "perplexity": perplexity,
        "similarity": similarity,
        "diagnose": diagnose,
    }
    metrics = [name for name, wanted in asked.items() if wanted]
    if len(metrics) > 1:
        raise UserError(f"one at a time: --{' or --'.join(metrics)}; records of all are kept")
    progress = console.progress()
    from attnreplace.evaluate.evaluate import evaluate as evaluate_systems
    from attnreplace.rundir import RunDir

    directory = RunDir(run)
    options = {
        "beams": _beams(beam),
        "test_sets": words(test_set),
        "over_long": over_long,
        "baselines": baselines,
        "cost": cost,
    }
    config = configure(
        directory, {"evaluate": options}, assignments, stage="evaluate", progress=progress
    )
    if beam is not None and config.data.task != "translation":
        raise UserError(f"--beam is for translations; the task of {run} is {config.data.task}")
    systems, groups = bundles(bundle), site_groups(sites)
    report = f"attnreplace report{run_suffix(run)}"
    if diagnose:
        from attnreplace.evaluate.diagnosis.diagnose import diagnose as take_apart
        from attnreplace.report.diagnosis_tables import TITLE

        found = take_apart(directory, config.evaluate, systems, sites=groups, progress=progress)
        console.show_diagnoses(found)
        console.done(f"records, shown in the report under “{TITLE}”:", directory.diagnoses, report)
        return
    records = evaluate_systems(
        directory,
        config.evaluate,
        systems,
        metric=next(iter(metrics), None),
        sites=groups,
        remeasure=remeasure,
        progress=progress,
    )
    console.show_results(records)
    console.done("records:", directory.results, report)


def _beams(text: str | None) -> list[int] | None:
    try:
        return None if text is None else [int(word) for word in words(text) or []]
    except ValueError:
        raise UserError(f"--beam {text!r} should be whole numbers with commas, as 1,5") from None
