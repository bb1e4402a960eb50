"""What the benchmarks work on: a corpus, and a teacher with random weights.

What a stage costs does not depend on what the teacher has learnt. The corpus is the embedded one,
cut into so few pieces that sentences are about as long as in IWSLT 2017: 24 tokens in the mean.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from attnreplace.activations.extract import ExtractConfig, extract
from attnreplace.data.corpora import DataConfig, load_corpus
from attnreplace.data.corpus import Corpus, Pairs
from attnreplace.data.tokenizer import train_tokenizer
from attnreplace.rundir import RunDir, write_json
from attnreplace.teacher.build import build_teacher, teacher_config

VOCABULARY = 1000
PAIR = "de-en"


def untrained_run(
    folder: Path, pairs: int, validation: int = 32, preset: str = "paper", **shape: Any
) -> RunDir:
    """A run directory with a corpus and a teacher; the one that is there, where there is one.

    Args:
        folder: of the run.
        pairs: training pairs.
        validation: validation pairs.
        preset: the teacher's shape.
        shape: fields of it that differ.
    """
    run = RunDir(folder)
    if run.teacher.exists():
        return run
    corpus = load_corpus(DataConfig(pair=PAIR, train_size=pairs, validation_size=validation))
    assert isinstance(corpus, Corpus)
    data = folder / "corpus"
    write_corpus(data, {"train": corpus.train, "validation": corpus.validation})
    tokenizer = train_tokenizer(corpus.train.source + corpus.train.target, VOCABULARY)
    config = teacher_config(preset, vocab_size=VOCABULARY, **shape)
    run.update_config(data=DataConfig(data_dir=str(data), pair=PAIR), teacher=config)
    build_teacher(config, tokenizer).save_pretrained(run.teacher)
    tokenizer.save_pretrained(run.teacher)
    # As far as the length limit goes, this is what training leaves.
    limit = {"config": {"teacher": {"max_length": config.max_length}}}
    write_json(run.teacher / "training.json", limit)
    return run


def write_corpus(folder: Path, splits: Mapping[str, Pairs]) -> None:
    """Write pairs of `PAIR` as a folder that `--data-dir` takes."""
    folder.mkdir(parents=True, exist_ok=True)
    for split, text in splits.items():
        for language, lines in zip(PAIR.split("-"), (text.source, text.target), strict=True):
            (folder / f"{split}.{language}").write_text("\n".join(lines) + "\n", encoding="utf-8")


def extracted_run(folder: Path, pairs: int, sites: list[str], **options: Any) -> RunDir:
    """The same with its activations."""
    run = untrained_run(folder, pairs, **options)
    extract(run, ExtractConfig(sites=sites))
    return run
