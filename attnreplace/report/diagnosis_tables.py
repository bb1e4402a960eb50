"""Tables of diagnoses: what the loss of each system is made of."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby

from attnreplace.report.diagnosis import (
    BleuPart,
    Diagnosed,
    Part,
    diagnosis_sentence,
    layer_names,
)
from attnreplace.report.numbers import difference, points, share
from attnreplace.report.tables import NOTHING, as_markdown, plural

TITLE = "What the loss is made of"
MEANING = (
    "Each token of the references is predicted from those before it. Divergence: how far a "
    "system's predictions are from the teacher's, Kullback-Leibler, in nats a token; same token: "
    "where both find the same one likeliest; loss: cross-entropy. Worst layer: the one that takes "
    "most of the divergence away when its attention is given back, and how much; worst positions "
    "(of the token) and lengths (of the source, in tokens): where the mean divergence is greatest."
)
BARS = (
    "Bars: the divergence of the teacher with a single student in it, and, fainter, what the "
    "system loses of its divergence where that student gives way to the attention."
)
"""What the figure shows by layer."""


@dataclass(frozen=True)
class Table:
    """A table of texts, the first column of which names systems."""

    title: str
    header: list[str]
    rows: list[list[str]]


def overview_table(diagnoses: Sequence[Diagnosed]) -> Table:
    """How far each system is from its teacher, and where it is farthest; of one test set."""
    header = ["System", "Divergence", "Same token", "Loss", "Teacher's loss"]
    rows = [[one.label, *_figures(one.overall), *_worst(one)] for one in diagnoses]
    return Table("Overview", [*header, "Worst layer", "Worst positions", "Worst lengths"], rows)


def brief_table(diagnoses: Sequence[Diagnosed]) -> Table:
    """The same where there is little room."""
    rows = [
        [one.label, *_figures(one.overall)[:2], *(cell.partition(" (")[0] for cell in _worst(one))]
        for one in diagnoses
    ]
    header = ["System", "Divergence", "Same token", "Worst layer", "Worst positions"]
    return Table("Overview", [*header, "Worst lengths"], rows)


def detail_tables(diagnoses: Sequence[Diagnosed]) -> list[Table]:
    """By layer, by position, by length, and BLEU by length; of one test set."""
    tables = [_by_layer([one for one in diagnoses if one.layers])]
    tables += _binned("By position of the token", diagnoses, lambda one: one.positions)
    tables += _binned("By tokens of the source", diagnoses, lambda one: one.lengths)
    for beam in sorted({beam for one in diagnoses for beam in one.bleu}):
        tables += _bleu(beam, [one for one in diagnoses if beam in one.bleu])
    return [table for table in tables if table.rows]


def by_test_set(diagnoses: Sequence[Diagnosed]) -> dict[str, list[Diagnosed]]:
    """Diagnoses in order, apart by their test sets."""
    return {name: list(group) for name, group in groupby(diagnoses, lambda one: one.test_set)}


def remarks(diagnoses: Sequence[Diagnosed]) -> list[str]:
    """What is missing, and why; of one test set."""
    notes = [
        f"{one.label}: without figures by layer, as {one.layers_missing}."
        for one in diagnoses
        if one.layers_missing
    ]
    if without := [one.label for one in diagnoses if not one.bleu]:
        notes.append(f"No saved translations to score by length: {'; '.join(without)}.")
    for limit, count in dict.fromkeys((one.limit, one.left_out) for one in diagnoses):
        if count:
            notes.append(f"{plural(count, 'sentence')} over {limit} tokens left out but for BLEU.")
    return notes


def diagnosis_markdown(diagnoses: Sequence[Diagnosed], figure: str = "") -> str:
    """All tables as a Markdown page.

    Args:
        diagnoses: in order.
        figure: a file beside it; empty: none.
    """
    parts = [f"# {TITLE}", MEANING]
    if figure:
        parts += [f"![Divergence by layer, by position and by length]({figure})", BARS]
    for test_set, group in by_test_set(diagnoses).items():
        parts += [f"## {test_set}", *map(diagnosis_sentence, group)]
        for table in (overview_table(group), *detail_tables(group)):
            parts += [f"### {table.title}", as_markdown(table.header, table.rows, texts=1).rstrip()]
        parts += remarks(group)
    return "\n\n".join(parts) + "\n"


def _figures(part: Part) -> list[str]:
    losses = [f"{value:.3f}" for value in (part.loss, part.teacher_loss)]
    return [f"{part.divergence:.4f}", share(part.agreement), *losses]


def _worst(one: Diagnosed) -> list[str]:
    layer = one.worst_layer
    parts = [one.worst(one.positions), one.worst(one.lengths)]
    named = [f"{part.name} ({part.divergence:.4f})" for part in parts]
    if layer is None or layer.saved is None:
        return [NOTHING, *named]
    return [f"{layer.name} ({layer.saved:.4f})", *named]


def _by_layer(diagnoses: Sequence[Diagnosed]) -> Table:
    """What each student does alone, and what giving it up would save."""
    names = layer_names(diagnoses)
    rows = []
    for one in diagnoses:
        cells = {
            layer.name: f"{_number(layer.alone)} / {_number(layer.saved)}" for layer in one.layers
        }
        both = [
            sum(value or 0.0 for value in values)
            for values in zip(*((layer.alone, layer.saved) for layer in one.layers), strict=True)
        ]
        total = " / ".join(map(_number, both))
        whole = _number(one.overall.divergence)
        rows.append([one.label, *(cells.get(name, NOTHING) for name in names), total, whole])
    title = "By layer: the teacher with this student alone / saved by giving its attention back"
    return Table(title, ["System", *names, "Sum", "Together"], rows)


def _binned(
    title: str, diagnoses: Sequence[Diagnosed], parts: Callable[[Diagnosed], Sequence[Part]]
) -> list[Table]:
    """Divergence and its share of all, a table for each choice of bins."""
    tables = []
    for names, group in _alike(diagnoses, lambda one: [part.name for part in parts(one)]):
        counts = [f"{part.tokens:,}" for part in parts(group[0])]
        rows = [["Tokens", *counts]]
        for one in group:
            cells = [f"{p.divergence:.4f} ({share(one.share(p))})" for p in parts(one)]
            rows.append([one.label, *cells])
        tables.append(Table(f"{title}: divergence (its share of all)", ["System", *names], rows))
    return tables


def _bleu(beam: int, diagnoses: Sequence[Diagnosed]) -> list[Table]:
    """BLEU and how it stands to the teacher's, a table for each choice of bins."""
    tables = []
    for names, group in _alike(diagnoses, lambda one: [part.name for part in one.bleu[beam]]):
        parts = group[0].bleu[beam]
        rows = [["Sentences", *(f"{part.sentences:,}" for part in parts)]]
        rows.append(["Teacher", *(points(part.teacher_score) for part in parts)])
        rows += [[one.label, *map(_score, one.bleu[beam])] for one in group]
        tables.append(Table(f"BLEU by tokens of the source, beam {beam}", ["System", *names], rows))
    return tables


def _alike(
    diagnoses: Sequence[Diagnosed], names: Callable[[Diagnosed], list[str]]
) -> list[tuple[list[str], list[Diagnosed]]]:
    """Diagnoses with the same names of bins, of the same tokens, and these names."""
    groups: dict[tuple[int, ...] | tuple[str, ...], list[Diagnosed]] = {}
    for one in diagnoses:
        groups.setdefault((str(one.limit), *names(one)), []).append(one)
    return [(names(group[0]), group) for group in groups.values()]


def _score(part: BleuPart) -> str:
    return f"{points(part.score)} ({difference(part.score - part.teacher_score)})"


def _number(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.4f}".replace("-", "\N{MINUS SIGN}")
