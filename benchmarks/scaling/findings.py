"""What the records say, in sentences whose figures they give."""

from attnreplace.activations.schema import readable_bytes
from attnreplace.report.numbers import count, error
from benchmarks.scaling.cost_tables import NAMES, duration, times
from benchmarks.scaling.quality_tables import GROUPS, SERIES, errors
from benchmarks.scaling.results import Results
from benchmarks.scaling.shapes import ATTENTION, LENGTHS, SYSTEMS, WIDTHS, Shape, shaped

USUAL = (50, 128)
"""N and d_model of the paper."""
LARGEST = (LENGTHS[-1], WIDTHS[-1])
TIMED = ("shallow_ff-s", "shallow_ff-m", "pairwise-m", "summaries-m", "summaries-l")


def about(results: Results) -> str:
    """What was measured on what, in how much time."""
    seconds = results.records["seconds"]
    machine, held = seconds["machine"], readable_bytes(int(seconds["training_bytes"]))
    done, all_of_them = results.timed
    students = len(results.students)
    trained = f"; {students} bundles of students were trained for the second half"
    return (
        f"Measured on {machine['device']} ({machine['processor']}, {machine['threads']} thread, "
        f"torch {machine['versions']['torch']}) in float32, seconds of the processor and not of "
        "the clock on the wall, for other work ran beside it. Of "
        f"{all_of_them} training steps {done} were measured, of students that take at most {held} "
        f"in training, in {seconds['cpu_seconds'] / 60:.0f} minutes{trained * bool(students)}."
    )


def findings(results: Results) -> str:
    """A list."""
    return "\n".join(f"- {line}" for line in [*_size(results), *_time(results), *_error(results)])


def _size(results: Results) -> list[str]:
    m, usual = Shape("sentence", *LARGEST), Shape("sentence", *USUAL)
    sizes = {size: shaped("shallow_ff", size, m).num_parameters() for size in ("m", "l", "xl")}
    held = results.size("shallow_ff-m", m, "training_bytes")
    attention = [results.size(ATTENTION, shape, "parameters") for shape in (usual, m)]
    small = [shaped("shallow_ff", "m", usual).num_parameters(), sizes["m"]]
    ours = [results.size("summaries-l", shape, "parameters") for shape in (usual, m)]
    state = Shape("prefix", *LARGEST)
    kept = {name: readable_bytes(results.size(name, state, "state_bytes")) for name in SYSTEMS}
    return [
        f"**Parameters.** From {_words(USUAL)} to {_words(LARGEST)} attention goes from "
        f"{count(attention[0])} to {count(attention[1])} parameters a layer, the shallow student "
        f"of size M from {count(small[0])} to {count(small[1])}; L would have "
        f"{count(sizes['l'])} and XL {count(sizes['xl'])}, each a layer. To train one layer at M "
        f"takes {readable_bytes(held)}. Summaries of size M have as many as attention wherever "
        f"they are, those of size L {count(ours[0])} and {count(ours[1])}.",
        f"**Decoding state.** At {_words(LARGEST)} a decoder layer keeps "
        f"{kept['shallow_ff-m']} a sentence with the shallow student at M, {kept['summaries-m']} "
        f"with summaries at M and {kept['summaries-l']} at L, however long the sentence is, and "
        f"{kept[ATTENTION]} with attention at its last token.",
    ]


def _time(results: Results) -> list[str]:
    lines = []
    for what, form, name in (
        ("train", "sentence", "Training, encoder"),
        ("forward", "sentence", "Forward pass, encoder"),
        ("step", "prefix", "Decoding step, decoder"),
    ):
        parts = []
        for place in (USUAL, LARGEST):
            shape = Shape(form, *place)
            ratios = []
            for system in TIMED:
                ratio, cost = results.ratio(system, shape, what), results.cost(system, shape, what)
                if ratio and cost:
                    mark = "" if cost.measured else " (extrapolated)"
                    ratios.append(f"{NAMES[system]} {times(ratio)}{mark}")
            base = results.cost(ATTENTION, shape, what)
            time = f" of {duration(base.seconds)}" if base else ""
            parts.append(
                f"at {_words(place)}, in terms of the attention{time}: {', '.join(ratios)}"
            )
        lines.append(f"**{name}**, {'; '.join(parts)}.")
    return lines


def _error(results: Results) -> list[str]:
    lines = []
    for group, words in GROUPS.items():
        found = errors(results, group)
        for width in sorted({d for rows in found.values() for d, _, _ in rows}):
            parts = []
            for series in SERIES:
                row = sorted(
                    (n, r["relative_mse"])
                    for (d, n, h), r in found[series].items()
                    if (d, h) == (width, 1)
                )
                if len(row) > 1:
                    ends = ", ".join(f"{error(value)} at {n}" for n, value in (row[0], row[-1]))
                    parts.append(f"{NAMES[series]} {ends}")
            if parts:
                lines.append(f"**Relative error** by N, {words}, d {width}: {'; '.join(parts)}.")
    return lines


def _words(place: tuple[int, int]) -> str:
    return f"N {place[0]}, d {place[1]}"
