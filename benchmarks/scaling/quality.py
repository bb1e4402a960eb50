"""How well students learn, over the length of the sentences, the width and the depth.

A teacher for every width, trained on lines of all lengths; its activations on lines of about N
tokens; students of those. The teacher is the same at every N, and every student sees as many tokens
of the same text once, so that what differs is N alone.
"""

import dataclasses
import shutil
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from attnreplace.activations.extract import ExtractConfig, extract
from attnreplace.data.config import DataConfig
from attnreplace.data.grammar import grammar_corpus
from attnreplace.data.tokenizer import train_tokenizer
from attnreplace.distill.config import DistillConfig
from attnreplace.distill.distill import distill
from attnreplace.rundir import RunDir, read_json, write_json
from attnreplace.splice.bundle import load_bundle_config
from attnreplace.teacher.build import teacher_config
from attnreplace.teacher.config import TrainingConfig
from attnreplace.teacher.load import load_teacher
from attnreplace.teacher.train import train
from benchmarks.material import PAIR, write_corpus
from benchmarks.measure import machine
from benchmarks.scaling.corpus import MIXED, pack, token_lengths
from benchmarks.scaling.shapes import DEPTHS

RATE = 2e-3
"""Of all students, whatever their width."""
MINUTES = 35.0
"""Of CPU time, over all times that it is run."""
GROUPS = ["encoder", "cross"]


@dataclass(frozen=True)
class Cell:
    """Students that are trained by one call."""

    d_model: int
    positions: int
    family: str
    sizes: tuple[str, ...]
    hidden_layers: int = 1
    longer: int = 1
    """Times as many epochs of the teacher as elsewhere."""
    passes: int = 1
    """Over the tokens that students see."""

    @property
    def key(self) -> str:
        """For records: "d64 N50 x1 shallow_ff s,m", and at the end "t4", "p4" where not 1."""
        shape = f"d{self.d_model} N{self.positions} x{self.hidden_layers}"
        return " ".join([shape, self.family, ",".join(self.sizes), *self.longer_by])

    @property
    def longer_by(self) -> list[str]:
        """What is trained longer than elsewhere."""
        factors = {"t": self.longer, "p": self.passes}
        return [f"{name}{factor}" for name, factor in factors.items() if factor != 1]


def _cells(
    places: Iterable[tuple[int, int]], depths: Iterable[int] = (1,), sizes: str = "sm"
) -> list[Cell]:
    """Students of every family, place and depth; `sizes` are those of the shallow ones."""
    kinds = (("shallow_ff", tuple(sizes)), ("pairwise", ("m",)), ("summaries", ("m", "l")))
    return [Cell(d, n, *kind, h) for d, n in places for h in depths for kind in kinds]


LARGE = ((64, 200), (128, 100))
"""d_model and N where size M has forty million parameters a layer."""
CHECKED = ((64, 25), (64, 100))
"""d_model and N of the students that are trained once more, after longer training."""
CELLS = _cells([(64, 25), (64, 50), (64, 100)]) + _cells([LARGE[0]], sizes="s")
CELLS += _cells([(64, 50)], depths=DEPTHS[1:])
CELLS += _cells([(128, 25), (128, 50)]) + _cells([LARGE[1]], sizes="s")
CELLS += [Cell(*place, "shallow_ff", ("m",)) for place in LARGE]
CELLS += [replace(cell, longer=2) for cell in _cells(CHECKED)]
CELLS += [replace(cell, passes=4) for cell in _cells(CHECKED)]
CELLS += _cells([(128, 200)], sizes="s")
"""What comes first is what tells most for its cost."""


@dataclass(frozen=True)
class Budget:
    """How much is trained; the defaults are those of the published records."""

    sentences: int = 18_000
    """Of the grammar, joined into lines."""
    validation: int = 600
    vocabulary: int = 2000
    teacher_tokens: int = 200_000
    """Of the source, in an epoch of the teacher."""
    teacher: dict[str, Any] = field(
        default_factory=lambda: {"epochs": 5, "validation_sentences": 24, "seed": 0}
    )
    """Settings of its training that are not the default."""
    tokens: int = 120_000
    """Of the source, that students see."""
    batch_tokens: int = 1024
    """Of the students."""


class Quality:
    """Trains teachers and students in a folder, and keeps a record."""

    def __init__(self, path: Path, work: Path, budget: Budget, note: Callable[[str], None]) -> None:
        """Read the record, if there is one.

        Args:
            path: of the record; it is written after every cell.
            work: where runs go; what is there already is used again.
            budget: how much is trained.
            note: is told what is done.
        """
        self.path, self.work, self.budget, self.note = path, work, budget, note
        self.record: dict[str, Any] = {
            "schema": "attnreplace.scaling-quality/1",
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "machine": machine(),
            "budget": dataclasses.asdict(budget),
            "teachers": {},
            "students": {},
        }
        if path.is_file():
            self.record = read_json(path, dict)

    def run(self, cells: list[Cell], minutes: float = MINUTES) -> None:
        """Do the cells that the record lacks, until the time is spent.

        Args:
            cells: in this order.
            minutes: of CPU time; no cell is begun after them.
        """
        for cell in cells:
            if cell.key in self.record["students"]:
                continue
            if self._spent >= 60 * minutes:
                self.note("the time is spent: the rest is left out")
                return
            before = time.process_time()
            rows = self._cell(cell)
            seconds = round(time.process_time() - before)
            self.record["students"][cell.key] = {"cpu_seconds": seconds, "bundles": rows}
            write_json(self.path, self.record)
            errors = ", ".join(f"{row['bundle']} {row['relative_mse']:.3f}" for row in rows)
            self.note(f"{cell.key}: {errors} ({seconds} s)")

    @property
    def _spent(self) -> float:
        """Seconds of all cells."""
        return sum(cell["cpu_seconds"] for cell in self.record["students"].values())

    def _cell(self, cell: Cell) -> list[dict[str, Any]]:
        run = self._run(cell)
        config = DistillConfig(
            methods=["alr"],
            sizes=list(cell.sizes),
            families=[cell.family],
            sites=list(GROUPS),
            hidden_layers=cell.hidden_layers,
            epochs=cell.passes,
            batch_tokens=self.budget.batch_tokens,
            learning_rate=RATE,
        )
        return [_row(run, name) for name in distill(run, config)]

    def _run(self, cell: Cell) -> RunDir:
        """A run with the activations of lines of at most that many tokens."""
        positions = cell.positions
        run = RunDir(self.work / "-".join([f"d{cell.d_model}-N{positions}", *cell.longer_by]))
        if not run.activations.is_file():
            self.note(f"activations of d{cell.d_model} N{positions}")
            teacher = self._teacher(cell.d_model, cell.longer)
            shutil.copytree(teacher, run.teacher, dirs_exist_ok=True)
            tokenizer = load_teacher(run.teacher).tokenizer
            data = self._data(f"N{positions}", (positions,), self.budget.tokens, tokenizer)
            run.update_config(data=data)
            extract(run, ExtractConfig(sites=list(GROUPS), max_length=positions))
        return run

    def _teacher(self, d_model: int, longer: int) -> Path:
        name = f"{d_model}" if longer == 1 else f"{d_model}-t{longer}"
        run = RunDir(self.work / f"teacher-d{name}")
        self.note(f"the teacher of d{name}")
        shape = teacher_config(
            "tiny",
            d_model=d_model,
            num_heads=d_model // 16,
            d_ff=4 * d_model,
            vocab_size=self.budget.vocabulary,
            max_length=max(MIXED),
        )
        data = self._data("mixed", MIXED, self.budget.teacher_tokens)
        epochs = self.budget.teacher["epochs"] * longer
        training = TrainingConfig(**self.budget.teacher | {"epochs": epochs})
        record = train(run, data, shape, training).record
        if name not in self.record["teachers"]:
            self.record["teachers"][name] = {
                "parameters": record["parameters"]["total"],
                "layers": [shape.encoder_layers, shape.decoder_layers],
                "heads": shape.num_heads,
                "epochs": len(record["history"]),
                "validation_loss": record["best"]["validation_loss"],
                "validation_bleu": record["best"]["validation_bleu"],
            }
        return run.teacher

    def _data(
        self, name: str, limits: tuple[int, ...], tokens: int, tokenizer: Any = None
    ) -> DataConfig:
        """The corpus in lines of these limits, with as many tokens of the source.

        The tokenizer is the teacher's; while there is none, one of the same kind.
        """
        folder = self.work / f"corpus-{name}"
        if not folder.is_dir():
            size, held_out = self.budget.sentences, self.budget.validation
            corpus = grammar_corpus(PAIR, size, held_out, test=0)
            if tokenizer is None:
                text = corpus.train.source + corpus.train.target
                tokenizer = train_tokenizer(text, self.budget.vocabulary)
            splits = {
                split: pack(pairs, token_lengths(tokenizer, pairs), limits, tokens)
                for split, pairs in {"train": corpus.train, "validation": corpus.validation}.items()
            }
            write_corpus(folder, splits)
        return DataConfig(data_dir=str(folder), pair=PAIR)


def _row(run: RunDir, name: str) -> dict[str, Any]:
    """What the record keeps of a bundle."""
    bundle = load_bundle_config(run.students / name)
    errors = bundle.training["relative_mse"]
    (group,) = {GROUPS[site.startswith("decoder")] for site in errors}
    return {
        "bundle": name,
        "family": bundle.family,
        "size": bundle.size,
        "group": group,
        "relative_mse": sum(errors.values()) / len(errors),
        "relative_mse_by_site": errors,
        "parameters": bundle.training["parameters"] // len(errors),
        "lines": bundle.training["sentences"],
        "tokens": bundle.training["tokens"],
    }
