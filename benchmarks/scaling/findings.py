"""What the records say, in sentences whose figures they give."""

from attnreplace.activations.schema import readable_bytes
from attnreplace.report.numbers import count, error
from benchmarks.scaling.cost_tables import duration, times
from benchmarks.scaling.quality_tables import errors
from benchmarks.scaling.results import Results
from benchmarks.scaling.shapes import ATTENTION, LENGTHS, WIDTHS, Shape, shaped

USUAL = (50, 128)
"""N and d_model of the paper."""
LARGEST = (LENGTHS[-1], WIDTHS[-1])


def about(results: Results) -> str:
    """What was measured on what, in how much time."""
    seconds, quality = results.records["seconds"], results.records["quality"]
    machine, held = seconds["machine"], readable_bytes(int(seconds["training_bytes"]))
    done, all_of_them = results.timed
    spent = sum(cell["cpu_seconds"] for cell in quality["students"].values()) / 60
    trained = f"; the {len(results.students)} bundles of students of the second half took "
    trained += f"{spent:.0f} minutes, their teachers included"
    return (
        f"Measured on {machine['device']} ({machine['processor']}, {machine['threads']} thread, "
        f"torch {machine['versions']['torch']}) in float32, seconds of the processor and not of "
        "the clock on the wall, for other work ran beside it. Of "
        f"{all_of_them} training steps {done} were measured, of students that take at most {held} "
        f"in training, in {seconds['cpu_seconds'] / 60:.0f} minutes{trained if spent else ''}."
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
    state = Shape("prefix", *LARGEST)
    states = [results.size(n, state, "state_bytes") for n in ("shallow_ff-m", ATTENTION)]
    return [
        f"**Parameters.** From {_words(USUAL)} to {_words(LARGEST)} attention goes from "
        f"{count(attention[0])} to {count(attention[1])} parameters a layer, the shallow student "
        f"of size M from {count(small[0])} to {count(small[1])}; L would have "
        f"{count(sizes['l'])} and XL {count(sizes['xl'])}, each a layer. To train one layer at M "
        f"takes {readable_bytes(held)}.",
        f"**Decoding state.** At {_words(LARGEST)} a decoder layer keeps "
        f"{readable_bytes(states[0])} a sentence with the shallow student at M, however long the "
        f"sentence is, and {readable_bytes(states[1])} with attention at its last token.",
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
            for system, word in (
                ("shallow_ff-s", "shallow S"),
                ("shallow_ff-m", "shallow M"),
                ("pairwise-m", "pairwise M"),
            ):
                ratio, cost = results.ratio(system, shape, what), results.cost(system, shape, what)
                if ratio and cost:
                    mark = "" if cost.measured else " (extrapolated)"
                    ratios.append(f"{word} {times(ratio)}{mark}")
            base = results.cost(ATTENTION, shape, what)
            time = f" of {duration(base.seconds)}" if base else ""
            parts.append(
                f"at {_words(place)}, in terms of the attention{time}: {', '.join(ratios)}"
            )
        lines.append(f"**{name}**, {'; '.join(parts)}.")
    return lines


def _error(results: Results) -> list[str]:
    lines = []
    for group, family, size, name in (
        ("encoder", "shallow_ff", "m", "shallow M in the encoder"),
        ("cross", "shallow_ff", "m", "shallow M at cross-attention"),
        ("encoder", "pairwise", "m", "pairwise M in the encoder"),
        ("cross", "pairwise", "m", "pairwise M at cross-attention"),
    ):
        found = errors(results)[group, family, size]
        parts = []
        for width in sorted({d for d, _, _ in found}):
            row = sorted(
                (n, r["relative_mse"]) for (d, n, h), r in found.items() if (d, h) == (width, 1)
            )
            if len(row) > 1:
                (first, start), (last, end) = row[0], row[-1]
                parts.append(f"{error(start)} at N {first}, {error(end)} at N {last} (d {width})")
        if parts:
            lines.append(f"**Relative error** of {name}: {'; '.join(parts)}.")
    return lines


def _words(place: tuple[int, int]) -> str:
    return f"N {place[0]}, d {place[1]}"
