"""Training the teacher."""

import dataclasses
import random
import shutil
import time
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from accelerate import Accelerator, PartialState
from accelerate.utils import broadcast_object_list
from safetensors import SafetensorError
from torch import Tensor
from transformers import PreTrainedModel

from attnreplace.checkpoint import (
    load_tensors,
    optimizer_tensors,
    restore_optimizer,
    save_tensors,
)
from attnreplace.data.batching import encode, pad, token_batches
from attnreplace.data.corpora import DataConfig, load_corpus
from attnreplace.data.corpus import Corpus, Pairs
from attnreplace.data.tokenizer import train_tokenizer
from attnreplace.digest import tokenizer_digest
from attnreplace.errors import UserError
from attnreplace.evaluate.bleu import score
from attnreplace.evaluate.translate import translate
from attnreplace.locks import only_one
from attnreplace.precision import resolved_precision
from attnreplace.progress import NullProgress, Progress
from attnreplace.rundir import RunDir, read_json, write_json
from attnreplace.schedule import learning_rate
from attnreplace.teacher.build import TeacherConfig, build_teacher
from attnreplace.teacher.config import TrainingConfig
from attnreplace.teacher.files import (
    check_checkpoint,
    checkpoint_path,
    clear,
    former_teacher,
    lock_path,
    training_digest,
)
from attnreplace.teacher.load import Teacher, load_teacher
from attnreplace.versions import versions

IGNORED = -100


def train(
    run: RunDir,
    data: DataConfig,
    teacher: TeacherConfig,
    training: TrainingConfig,
    *,
    overwrite: bool = False,
    progress: Progress = NullProgress(),  # noqa: B008
) -> Teacher:
    """Train a teacher into `run.teacher` and keep the epoch of the best validation BLEU.

    An interrupted training goes on from its checkpoint and ends with the same weights as an
    uninterrupted one. Under `accelerate launch` every batch is shared between the processes.

    Raises:
        UserError: a teacher, finished or begun, of other settings is there and `overwrite` is
            False; another process is training it; no training pair fits into `max_length`.
    """
    corpus = load_corpus(data)
    # Said outright: left to itself, accelerate takes several processes on CPUs for one each.
    state = PartialState(cpu=not torch.accelerator.is_available())
    alone = only_one(lock_path(run), f"training the teacher of {run.path}")
    with alone if state.is_main_process else nullcontext():
        return _train(run, data, corpus, teacher, training, state, overwrite, progress)


def _train(
    run: RunDir,
    data: DataConfig,
    corpus: Corpus,
    teacher: TeacherConfig,
    training: TrainingConfig,
    state: PartialState,
    overwrite: bool,
    progress: Progress,
) -> Teacher:
    # A finished teacher is as good on another device.
    inputs, *elsewhere = (
        training_digest(corpus.digest, teacher, training, device)
        for device in (state.device, torch.device("cpu"), torch.device("cuda"))
    )
    done = run.teacher / "training.json"
    if done.is_file() and read_json(done).get("inputs_digest") in elsewhere:
        run.update_config(data=data, teacher=teacher, training=training)
        clear(run, elsewhere)
        progress.note(f"the teacher in {run.teacher} is finished: nothing to do")
        return load_teacher(run.teacher)
    if run.teacher.exists() and not overwrite:
        raise UserError(
            f"{run.teacher} holds a teacher of other settings or data; "
            "add --overwrite to replace it, or choose another --run"
        )
    if not overwrite:
        check_checkpoint(run, inputs)
    if state.is_main_process:
        run.update_config(data=data, teacher=teacher, training=training)
    _Training(run, corpus, teacher, training, inputs, progress).execute()
    return load_teacher(run.teacher)


@dataclass
class _Counters:
    """Where a training stands; with the tensors, all that a checkpoint holds."""

    epoch: int = 0
    batch: int = 0
    step: int = 0
    loss_sum: float = 0.0
    loss_tokens: int = 0
    rate: float = 0.0
    """Learning rate of the last update."""
    seconds: float = 0.0
    history: list[dict[str, Any]] = field(default_factory=list)


class _Training:
    def __init__(
        self,
        run: RunDir,
        corpus: Corpus,
        teacher: TeacherConfig,
        training: TrainingConfig,
        inputs: str,
        progress: Progress,
    ) -> None:
        self.run, self.corpus, self.shape, self.config = run, corpus, teacher, training
        self.inputs, self.progress = inputs, progress
        self.accelerator = Accelerator(cpu=not torch.accelerator.is_available())
        self.bf16 = resolved_precision(training.precision, self.accelerator.device) == "bf16"
        self.tokenizer = train_tokenizer(
            corpus.train.source + corpus.train.target, teacher.vocab_size
        )
        self.train_ids, self.dropped = self._encode(corpus.train)
        if not self.train_ids:
            raise UserError(
                f"none of the {len(corpus.train)} training pairs has at most "
                f"{teacher.max_length} tokens on both sides; raise max_length"
            )
        self.validation_ids, _ = self._encode(corpus.validation)
        torch.manual_seed(training.seed)
        self.model: PreTrainedModel = build_teacher(teacher, self.tokenizer)
        self.weights: dict[str, Tensor] = dict(self.model.named_parameters())
        self.best = {name: weight.detach().clone() for name, weight in self.weights.items()}
        optimizer = torch.optim.AdamW(
            self.model.parameters(),
            lr=training.learning_rate,
            betas=(0.9, training.beta2),
            eps=1e-9,
            weight_decay=training.weight_decay,
            fused=True,
        )
        self.parallel, self.optimizer = self.accelerator.prepare(self.model, optimizer)
        self.counters = _Counters()
        self.checkpoint_path = checkpoint_path(run)
        self._resume()

    def execute(self) -> None:
        """Train to the end and write the teacher's folder."""
        config, counters = self.config, self.counters
        while counters.epoch < config.epochs and not self._exhausted():
            self._train_epoch()
            if self.accelerator.is_main_process:
                self._validate()
            # The other processes need only the history, which decides when to stop.
            shared = [counters.history]
            broadcast_object_list(shared)
            counters.history = shared[0]
            counters.epoch, counters.batch = counters.epoch + 1, 0
            counters.loss_sum, counters.loss_tokens = 0.0, 0
            self._save_checkpoint()
        if self.accelerator.is_main_process:
            self._write()
        self.accelerator.wait_for_everyone()

    def _encode(self, pairs: Pairs) -> tuple[list[tuple[list[int], list[int]]], int]:
        """Encoded pairs within `max_length` on both sides, and how many are over it."""
        source = encode(self.tokenizer, pairs.source)
        target = encode(self.tokenizer, pairs.target)
        limit = self.shape.max_length
        kept = [pair for pair in zip(source, target, strict=True) if max(map(len, pair)) <= limit]
        return kept, len(pairs) - len(kept)

    def _epoch_batches(self, epoch: int) -> list[list[int]]:
        lengths = [max(len(source), len(target)) for source, target in self.train_ids]
        generator = random.Random(f"{self.config.seed}/{epoch}")
        return token_batches(lengths, self.config.batch_tokens, generator=generator)

    def _train_epoch(self) -> None:
        config, counters = self.config, self.counters
        batches = self._epoch_batches(counters.epoch)
        total_steps = config.epochs * len(batches)
        world, rank = self.accelerator.num_processes, self.accelerator.process_index
        started = saved = time.monotonic()
        before = counters.seconds
        self.parallel.train()
        description = f"teacher, epoch {counters.epoch + 1}/{config.epochs}"
        with self.progress.task(description, len(batches), counters.batch) as task:
            for batch in batches[counters.batch :]:
                counters.rate = learning_rate(
                    counters.step,
                    peak=config.learning_rate,
                    warmup=config.warmup_steps,
                    total=total_steps,
                    schedule=config.schedule,
                )
                for group in self.optimizer.param_groups:
                    group["lr"] = counters.rate
                # Dropout draws from the step, so that resuming needs no generator's state.
                torch.manual_seed((config.seed * 1_000_003 + counters.step) * world + rank)
                pairs = [self.train_ids[index] for index in batch]
                tokens = sum(len(target) for _, target in pairs)
                # An empty share still takes part in the exchange of gradients, with weight 0.
                share, weight = (pairs[rank::world], 1) if pairs[rank::world] else (pairs[:1], 0)
                loss = self._loss(share, config.label_smoothing) * weight
                self.accelerator.backward(loss * (world / tokens))
                self.accelerator.clip_grad_norm_(self.model.parameters(), config.max_grad_norm)
                self.optimizer.step()
                self.optimizer.zero_grad()
                total = self.accelerator.reduce(loss.detach())
                counters.loss_sum += float(total)
                counters.loss_tokens += tokens
                counters.step += 1
                counters.batch += 1
                task.advance(1, loss=counters.loss_sum / counters.loss_tokens)
                now = time.monotonic()
                counters.seconds = before + now - started
                if now - saved > config.checkpoint_minutes * 60:
                    self._save_checkpoint()
                    saved = now

    def _loss(self, pairs: list[tuple[list[int], list[int]]], smoothing: float) -> Tensor:
        """Cross-entropy summed over the target tokens of a batch."""
        pad_id, device = self.tokenizer.pad_token_id, self.accelerator.device
        source, source_mask = pad([pair[0] for pair in pairs], pad_id)
        labels, target_mask = pad([pair[1] for pair in pairs], pad_id)
        start = torch.full((len(pairs), 1), self.model.config.decoder_start_token_id)
        # Validation is the first process's alone: there nothing may wait for the others.
        network = self.parallel if torch.is_grad_enabled() else self.model
        with torch.autocast(device.type, torch.bfloat16, enabled=self.bf16):
            logits = network(
                input_ids=source.to(device),
                attention_mask=source_mask.to(device),
                decoder_input_ids=torch.cat([start, labels[:, :-1]], dim=1).to(device),
                use_cache=False,
            ).logits
        return F.cross_entropy(
            logits.float().flatten(0, 1),
            labels.masked_fill(target_mask == 0, IGNORED).flatten().to(device),
            ignore_index=IGNORED,
            label_smoothing=smoothing,
            reduction="sum",
        )

    @torch.no_grad()
    def _validate(self) -> None:
        """Append this epoch to the history, and keep its weights if it is the best so far."""
        counters = self.counters
        started = time.monotonic()
        self.parallel.eval()
        lengths = [max(map(len, pair)) for pair in self.validation_ids]
        loss, tokens = 0.0, 0
        for batch in token_batches(lengths, self.config.batch_tokens):
            pairs = [self.validation_ids[index] for index in batch]
            loss += float(self._loss(pairs, 0.0))
            tokens += sum(len(target) for _, target in pairs)
        sample = self.corpus.validation.head(self.config.validation_sentences)
        translations = translate(
            self.model,
            self.tokenizer,
            sample.source,
            beam=1,
            max_length=self.shape.max_length,
            over_long="truncate",
            progress=self.progress,
        )
        bleu = score(translations.hypotheses, sample.target)["bleu"]["score"]
        counters.seconds += time.monotonic() - started
        best = max((row["validation_bleu"] for row in counters.history), default=-1.0)
        counters.history.append(
            {
                "epoch": counters.epoch + 1,
                "step": counters.step,
                "train_loss": counters.loss_sum / max(1, counters.loss_tokens),
                "validation_loss": loss / max(1, tokens),
                "validation_bleu": bleu,
                "learning_rate": counters.rate,
                "seconds": counters.seconds,
            }
        )
        self.progress.note(
            f"epoch {counters.epoch + 1}: training loss "
            f"{counters.history[-1]['train_loss']:.3f}, validation loss "
            f"{counters.history[-1]['validation_loss']:.3f}, BLEU {bleu:.2f}"
        )
        if bleu > best:
            for name, weight in self.weights.items():
                self.best[name].copy_(weight.detach())

    def _best_epoch(self) -> int:
        """Index into the history; the earliest of equals."""
        scores = [row["validation_bleu"] for row in self.counters.history]
        return scores.index(max(scores))

    def _exhausted(self) -> bool:
        history = self.counters.history
        return bool(history) and len(history) - 1 - self._best_epoch() >= self.config.patience

    def _save_checkpoint(self) -> None:
        if self.accelerator.is_main_process:
            tensors = {f"model.{name}": weight for name, weight in self.weights.items()}
            tensors |= {f"best.{name}": weight for name, weight in self.best.items()}
            tensors |= optimizer_tensors(self.optimizer, "optimizer.")
            state = {"inputs_digest": self.inputs, **dataclasses.asdict(self.counters)}
            save_tensors(self.checkpoint_path, tensors, state)
        self.accelerator.wait_for_everyone()

    @torch.no_grad()
    def _resume(self) -> None:
        if not self.checkpoint_path.exists():
            return
        tensors, state = load_tensors(self.checkpoint_path)
        if state.pop("inputs_digest") != self.inputs:
            return  # the next one takes its place, as was asked for
        for name, weight in self.weights.items():
            weight.copy_(tensors[f"model.{name}"])
            self.best[name].copy_(tensors[f"best.{name}"])
        restore_optimizer(self.optimizer, tensors, "optimizer.")
        self.counters = _Counters(**state)
        self.progress.note(
            f"going on from epoch {self.counters.epoch + 1}, update {self.counters.step}"
        )

    @torch.no_grad()
    def _write(self) -> None:
        """Write the best epoch as the teacher's folder, whole or not at all."""
        for name, weight in self.weights.items():
            weight.copy_(self.best[name])
        folder = self.run.path / "teacher.tmp"
        shutil.rmtree(folder, ignore_errors=True)
        # Cutting over-long sentences in the validation leaves its settings in the tokenizer.
        self.tokenizer.backend_tokenizer.no_truncation()
        self.tokenizer.backend_tokenizer.no_padding()
        try:
            self.model.save_pretrained(folder)
            self.tokenizer.save_pretrained(folder)
        except (OSError, SafetensorError) as error:
            raise UserError(
                f"cannot write the teacher to {folder} ({error}); free some disk space and repeat "
                "the command: the training is kept in its checkpoint"
            ) from error
        history = self.counters.history
        record = {
            "schema": "attnreplace.training/1",
            "inputs_digest": self.inputs,
            "corpus": {
                "name": self.corpus.name,
                "pair": self.corpus.pair,
                "digest": self.corpus.digest,
                "train": len(self.train_ids),
            },
            "tokenizer_digest": tokenizer_digest(self.tokenizer),
            "dropped": {"train": self.dropped, "reason": f"over {self.shape.max_length} tokens"},
            "parameters": {
                "total": self.model.num_parameters(),
                "body": self.shape.num_body_parameters(),
            },
            "config": {
                "teacher": dataclasses.asdict(self.shape),
                "training": dataclasses.asdict(self.config),
            },
            "history": history,
            "best": history[self._best_epoch()],
            "seconds": self.counters.seconds,
            "device": str(self.accelerator.device),
            "processes": self.accelerator.num_processes,
            "versions": versions(),
        }
        write_json(folder / "training.json", record)
        former = former_teacher(self.run)
        shutil.rmtree(former, ignore_errors=True)
        if self.run.teacher.exists():
            self.run.teacher.rename(former)
        folder.rename(self.run.teacher)
        clear(self.run, [self.inputs])
