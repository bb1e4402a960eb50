"""attnreplace translate."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from attnreplace.errors import UserError
from attnreplace_cli import console
from attnreplace_cli.options import DEFAULT_RUN, BundleOption, RunOption, bundles, run_suffix

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from attnreplace.evaluate.translate import Translations


def translate(
    text: Annotated[
        list[str] | None, typer.Argument(help="Sentences; without any, lines of the input.")
    ] = None,
    bundle: BundleOption = None,
    beam: Annotated[int, typer.Option(min=1, help="Beam width.")] = 5,
    run: RunOption = DEFAULT_RUN,
) -> None:
    """Translate sentences with the teacher and with its students, side by side.

    Example: attnreplace translate "Die Lehrerin liest ein Buch." --bundle alrr-m,alr-m+alr-m-cross
    """
    console.progress()
    from attnreplace.evaluate.specs import bundle_parts, canonical, choose, default_systems
    from attnreplace.evaluate.translate import translate as translate_sentences
    from attnreplace.rundir import RunDir
    from attnreplace.splice import source_positions
    from attnreplace.splice.bundle import load_bundle_config
    from attnreplace.splice.splice import load_spliced
    from attnreplace.teacher.load import load_teacher

    directory = RunDir(run)
    teacher = load_teacher(directory.teacher)
    if (task := directory.config().data.task) != "translation":
        raise UserError(
            f"the teacher in {directory.teacher} is of the task {task}: no translations"
        )
    sentences = text or [line.rstrip("\n") for line in sys.stdin]
    if not sentences:
        raise UserError("nothing to translate; give a sentence, or lines on the input")
    configs = {name: load_bundle_config(directory.students / name) for name in directory.bundles()}
    specs = bundles(bundle)
    chosen = [choose(s, configs) for s in (default_systems(configs) if specs is None else specs)]

    def translated(model: "PreTrainedModel") -> "Translations":
        return translate_sentences(
            model,
            teacher.tokenizer,
            sentences,
            beam=beam,
            max_length=min(teacher.max_length, source_positions(model) or teacher.max_length),
            over_long="teacher",
            fallback=teacher.model,
        )

    columns = {"teacher": translated(teacher.model)}
    for parts in chosen:
        # A copy of the teacher each: one at a time is in memory.
        model = load_spliced(teacher.model, bundle_parts(directory, parts))
        columns[canonical(parts)] = translated(model)
        del model
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
    if not chosen:
        console.out.print(f"next: attnreplace distill{run_suffix(run)}  (no students yet)")
