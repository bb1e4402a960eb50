"""Training a teacher, or taking one as it is."""

from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import torch
from accelerate import PartialState

from attnreplace.data.corpora import AnyCorpus, DataConfig, load_corpus
from attnreplace.digest import differing
from attnreplace.errors import UserError
from attnreplace.locks import only_one
from attnreplace.progress import NullProgress, Progress
from attnreplace.rundir import RunDir, read_json
from attnreplace.tasks import Task, get_task
from attnreplace.teacher.build import TeacherConfig
from attnreplace.teacher.config import BaseTraining
from attnreplace.teacher.encoders import EncoderConfig
from attnreplace.teacher.files import (
    check_checkpoint,
    checkpoint_path,
    clear,
    lock_path,
    training_digest,
    without_none,
    write_teacher,
)
from attnreplace.teacher.learners.base import Learner
from attnreplace.teacher.load import Teacher, load_teacher
from attnreplace.teacher.loop import TrainingLoop
from attnreplace.teacher.pretrained import Pretrained, load_pretrained, reader_digest
from attnreplace.teacher.pretrained_config import PretrainedConfig
from attnreplace.versions import versions

AnyTeacher = TeacherConfig | EncoderConfig | PretrainedConfig


def train(
    run: RunDir,
    data: DataConfig,
    teacher: AnyTeacher,
    training: BaseTraining,
    *,
    overwrite: bool = False,
    progress: Progress = NullProgress(),  # noqa: B008
) -> Teacher:
    """Train a teacher into `run.teacher` and keep the epoch of the best validation score.

    An interrupted training goes on from its checkpoint and ends with the same weights as an
    uninterrupted one. Under `accelerate launch` every batch is shared between the processes.
    Pretrained weights are the teacher as they are where there are no epochs.

    Raises:
        UserError: a teacher, finished or begun, of other settings is there and `overwrite` is
            False; another process is training it; there is nothing to train on.
    """
    corpus = load_corpus(data)
    task = get_task(corpus.task)
    teacher = task.complete(teacher)
    if training.epochs == 0 and not isinstance(teacher, PretrainedConfig):
        raise UserError("training.epochs = 0 leaves nothing trained; it is for pretrained weights")
    # Said outright: left to itself, accelerate takes several processes on CPUs for one each.
    state = PartialState(cpu=not torch.accelerator.is_available())
    alone = only_one(lock_path(run), f"training the teacher of {run.path}")
    with alone if state.is_main_process else nullcontext():
        return _train(run, data, corpus, task, teacher, training, state, overwrite, progress)


def _train(
    run: RunDir,
    data: DataConfig,
    corpus: AnyCorpus,
    task: Task,
    teacher: AnyTeacher,
    training: BaseTraining,
    state: PartialState,
    overwrite: bool,
    progress: Progress,
) -> Teacher:
    source = None
    if isinstance(teacher, PretrainedConfig):
        source = load_pretrained(teacher.pretrained)
        teacher = replace(teacher, max_length=_length(teacher, source))
    digest = None if source is None else source.inputs_digest
    # A finished teacher is as good on another device.
    inputs, *elsewhere = (
        training_digest(corpus.digest, teacher, training, device, digest)
        for device in (state.device, torch.device("cpu"), torch.device("cuda"))
    )
    done = run.teacher / "training.json"
    there = read_json(done, dict) if done.is_file() else {}
    if there.get("inputs_digest") in elsewhere:
        run.update_config(data=data, teacher=teacher, training=training)
        clear(run, elsewhere)
        progress.note(f"the teacher in {run.teacher} is finished: nothing to do")
        return load_teacher(run.teacher)
    config = {"teacher": without_none(teacher), "training": without_none(training)}
    if run.teacher.exists() and not overwrite:
        differences = differing(_settings(there), _settings({"config": config}))
        raise UserError(
            f"{run.teacher} holds a teacher of other settings or data{differences}; "
            "add --overwrite to replace it, or choose another --run"
        )
    if not overwrite:
        check_checkpoint(run, inputs)
    if state.is_main_process:
        run.update_config(data=data, teacher=teacher, training=training)
    record = {
        "schema": "attnreplace.training/1",
        "inputs_digest": inputs,
        "corpus": _corpus_record(corpus),
        "config": config,
        "versions": versions(),
    }
    if source is not None:
        record["pretrained"] = source.record
    if training.epochs == 0 and source is not None:
        if state.is_main_process:
            _adopt(run, source, record)
    else:
        learner = task.learner(corpus, teacher, training)
        loop = TrainingLoop(learner, task.metric, training, checkpoint_path(run), inputs, progress)
        loop.execute()
        if state.is_main_process:
            _write(run, learner, loop, record)
    state.wait_for_everyone()
    return load_teacher(run.teacher)


def _length(teacher: PretrainedConfig, source: Pretrained) -> int | None:
    """The longest text that the teacher is to read; None for images."""
    positions = source.positions
    if positions is not None and (teacher.max_length or 0) > positions:
        raise UserError(
            f"max_length is {teacher.max_length}, but {source.name} reads at most {positions} "
            "tokens; lower it"
        )
    return None if positions is None else teacher.max_length or positions


def _adopt(run: RunDir, source: Pretrained, record: dict[str, Any]) -> None:
    """Make a model the teacher as it is."""
    record |= {
        "tokenizer_digest": reader_digest(source.reader),
        "parameters": {"total": source.model.num_parameters()},
        "history": [],
    }
    write_teacher(run, source.model, source.reader, record, record["inputs_digest"])


def _write(run: RunDir, learner: Learner, loop: TrainingLoop, record: dict[str, Any]) -> None:
    record["corpus"]["train"] = learner.size
    record |= {
        "tokenizer_digest": reader_digest(learner.reader),
        "parameters": {"total": loop.model.num_parameters()},
        **learner.record(loop.model),
        **loop.record(),
    }
    write_teacher(run, loop.model, learner.reader, record, record["inputs_digest"])


def _settings(record: dict[str, Any]) -> dict[str, Any]:
    """What a record of a training says of its settings, by name."""
    return {k: v for section in record.get("config", {}).values() for k, v in section.items()}


def _corpus_record(corpus: AnyCorpus) -> dict[str, Any]:
    record = {"name": corpus.name, "task": corpus.task, "digest": corpus.digest}
    if (pair := getattr(corpus, "pair", None)) is not None:
        record["pair"] = pair
    return record | {"train": len(corpus.train)}
