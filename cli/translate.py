"""attnreplace translate."""

import sys
from typing import Annotated

import typer

from attnreplace.errors import UserError
from attnreplace_cli import console
from attnreplace_cli.options import DEFAULT_RUN, RunOption, run_suffix, words


def translate(
    text: Annotated[
        list[str] | None, typer.Argument(help="Sentences; without any, lines of the input.")
    ] = None,
    bundle: Annotated[
        str | None, typer.Option(help="Bundles, with commas; default: all of the run.")
    ] = None,
    beam: Annotated[int, typer.Option(min=1, help="Beam width.")] = 5,
    run: RunOption = DEFAULT_RUN,
) -> None:
    """Translate sentences with the teacher and with its students, side by side.

    Example: attnreplace translate "Die Lehrerin liest ein Buch." --bundle alrr-m
    """
    console.progress()
    from attnreplace.evaluate.translate import translate as translate_sentences
    from attnreplace.rundir import RunDir
    from attnreplace.splice.splice import load_spliced
    from attnreplace.teacher.load import load_teacher

    directory = RunDir(run)
    teacher = load_teacher(directory.teacher)
    sentences = text or [line.rstrip("\n") for line in sys.stdin]
    if not sentences:
        raise UserError("nothing to translate; give a sentence, or lines on the input")
    names = words(bundle)
    if names is None:
        names = directory.bundles()
    systems = {"teacher": teacher.model}
    for name in names:
        systems[name] = load_spliced(teacher.model, directory.students / name)
    columns = {
        name: translate_sentences(
            model,
            teacher.tokenizer,
            sentences,
            beam=beam,
            max_length=teacher.max_length,
            over_long="teacher",
            fallback=teacher.model,
        )
        for name, model in systems.items()
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
    if not names:
        console.out.print(f"next: attnreplace distill{run_suffix(run)}  (no students yet)")
