"""attnreplace translate."""

import sys
from typing import Annotated

import typer

from attnreplace.errors import UserError
from attnreplace.rundir import DEFAULT_RUN, run_suffix
from attnreplace_cli import console
from attnreplace_cli.options import BundleOption, RunOption, bundles


def translate(
    text: Annotated[
        list[str] | None, typer.Argument(help="Sentences; without any, lines of the input.")
    ] = None,
    bundle: BundleOption = None,
    beam: Annotated[int, typer.Option(min=1, help="Beam width.")] = 5,
    run: RunOption = DEFAULT_RUN,
) -> None:
    """Translate sentences with the teacher, its students and tuned models, side by side.

    Example: attnreplace translate "Die Lehrerin liest ein Buch." --bundle alrr-m,alr-m+alr-m-cross
    """
    console.progress()
    from attnreplace.evaluate.config import EvalConfig
    from attnreplace.evaluate.evaluate import asked_systems
    from attnreplace.evaluate.systems import candidates
    from attnreplace.evaluate.translate import translate as translate_sentences
    from attnreplace.rundir import RunDir
    from attnreplace.teacher.load import load_teacher

    directory = RunDir(run)
    teacher = load_teacher(directory.teacher)
    if (task := directory.config().data.task) != "translation":
        raise UserError(
            f"the teacher in {directory.teacher} is of the task {task}: no translations"
        )
    sentences = text or [line.rstrip("\n") for line in sys.stdin]
    if not any(sentence.strip() for sentence in sentences):
        raise UserError("nothing to translate; give a sentence, or lines on the input")
    specs = asked_systems(directory, EvalConfig(), bundles(bundle), None)
    systems = candidates(teacher, directory, specs, baselines=False)
    # Built one after the other: one copy of the teacher at a time is in memory.
    columns = {
        system.system["name"]: translate_sentences(
            system.build(),
            teacher.tokenizer,
            sentences,
            beam=beam,
            max_length=system.limit,
            over_long="teacher",
            fallback=teacher.model,
        )
        for system in systems
    }
    for row, sentence in enumerate(sentences):
        rows = [[name, done.hypotheses[row]] for name, done in columns.items()]
        console.show_text(rows, title=sentence)
    over_long = columns["teacher"].over_long
    if over_long:
        console.err.print(
            f"{over_long} of {len(sentences)} sentences are longer than the students' "
            f"{teacher.max_length} tokens: there the teacher's attention translated",
            soft_wrap=True,
        )
    for name, done in columns.items():
        more = done.over_long - over_long + done.over_long_targets
        if more:
            console.err.print(
                f"{name}: {more} of {len(sentences)} sentences, or their translations, are longer "
                "than its students: there the teacher's attention translated",
                soft_wrap=True,
            )
    if not specs:
        console.out.print(f"next: attnreplace distill{run_suffix(run)}  (no students yet)")
