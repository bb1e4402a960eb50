"""Learning to translate."""

import random
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import PreTrainedModel

from attnreplace.data.batching import encode, pad, token_batches
from attnreplace.data.corpus import Corpus, Pairs
from attnreplace.data.masking import IGNORED
from attnreplace.data.tokenizer import train_tokenizer
from attnreplace.errors import UserError
from attnreplace.evaluate.bleu import score
from attnreplace.evaluate.translate import translate
from attnreplace.progress import Progress
from attnreplace.tasks.base import Task
from attnreplace.teacher.build import TeacherConfig, build_teacher
from attnreplace.teacher.config import TrainingConfig
from attnreplace.teacher.learners.base import Forward, Learner
from attnreplace.teacher.pretrained import load_for_task, load_reader
from attnreplace.teacher.pretrained_config import PretrainedConfig

Example = tuple[list[int], list[int]]


class TranslationLearner(Learner):
    """Cross-entropy over the tokens of the target; batches of pairs of similar length."""

    def __init__(
        self,
        task: Task,
        corpus: Corpus,
        teacher: TeacherConfig | PretrainedConfig,
        training: TrainingConfig,
    ) -> None:
        self.task, self.corpus, self.shape, self.config = task, corpus, teacher, training
        assert teacher.max_length is not None
        self.limit = teacher.max_length
        if isinstance(teacher, PretrainedConfig):
            self.reader = load_reader(teacher.pretrained, "text")
        else:
            self.reader = train_tokenizer(
                corpus.train.source + corpus.train.target, teacher.vocab_size
            )
        self.train_ids, self.dropped = self._encode(corpus.train)
        if not self.train_ids:
            raise UserError(
                f"none of the {len(corpus.train)} training pairs has at most "
                f"{self.limit} tokens on both sides; raise max_length"
            )
        self.validation_ids, _ = self._encode(corpus.validation)
        self.size = len(self.train_ids)
        self.start = 0

    def build(self) -> PreTrainedModel:
        """Freshly initialised for the tokenizer, or loaded."""
        if isinstance(self.shape, PretrainedConfig):
            model = load_for_task(self.shape.pretrained, self.task)
        else:
            model = build_teacher(self.shape, self.reader)
        self.meet(model)
        return model

    def meet(self, model: PreTrainedModel) -> None:
        """The token that the decoder starts with."""
        self.start = model.config.decoder_start_token_id

    def batches(self, epoch: int) -> list[list[int]]:
        """Batches of at most so many padded tokens."""
        lengths = [max(len(source), len(target)) for source, target in self.train_ids]
        generator = random.Random(f"{self.config.seed}/{epoch}")
        return token_batches(lengths, self.config.batch_tokens, generator=generator)

    def prepare(self, batch: Sequence[int], epoch: int) -> list[Example]:
        """The same in every epoch."""
        return [self.train_ids[index] for index in batch]

    def weight(self, examples: Sequence[Example]) -> int:
        """Tokens of the target."""
        return sum(len(target) for _, target in examples)

    def predicted(self, examples: Sequence[Example]) -> Tensor:
        """The tokens of the target, `(batch, seq)`."""
        return pad([target for _, target in examples], self.reader.pad_token_id)[1].bool()

    def loss(self, forward: Forward, examples: Sequence[Example]) -> Tensor:
        """Cross-entropy with label smoothing."""
        return self._loss(forward, examples, self.config.label_smoothing)

    def _loss(self, forward: Forward, pairs: Sequence[Example], smoothing: float) -> Tensor:
        """Cross-entropy summed over the target tokens of a batch."""
        pad_id = self.reader.pad_token_id
        source, source_mask = pad([pair[0] for pair in pairs], pad_id)
        labels, target_mask = pad([pair[1] for pair in pairs], pad_id)
        start = torch.full((len(pairs), 1), self.start)
        logits = forward(
            input_ids=source,
            attention_mask=source_mask,
            decoder_input_ids=torch.cat([start, labels[:, :-1]], dim=1),
            use_cache=False,
        ).logits
        return F.cross_entropy(
            logits.float().flatten(0, 1),
            labels.masked_fill(target_mask == 0, IGNORED).flatten().to(logits.device),
            ignore_index=IGNORED,
            label_smoothing=smoothing,
            reduction="sum",
        )

    def validate(
        self, model: PreTrainedModel, forward: Forward, progress: Progress
    ) -> dict[str, float]:
        """Loss of the pairs within the limit, BLEU of the first sentences, translated greedily."""
        lengths = [max(map(len, pair)) for pair in self.validation_ids]
        loss, tokens = 0.0, 0
        for batch in token_batches(lengths, self.config.batch_tokens):
            pairs = [self.validation_ids[index] for index in batch]
            loss += float(self._loss(forward, pairs, 0.0))
            tokens += self.weight(pairs)
        sample = self.corpus.validation.head(self.config.validation_sentences)
        translations = translate(
            model,
            self.reader,
            sample.source,
            beam=1,
            max_length=self.limit,
            over_long="truncate",
            progress=progress,
        )
        bleu = score(translations.hypotheses, sample.target)["bleu"]["score"]
        return {"validation_loss": loss / max(1, tokens), "validation_bleu": bleu}

    def record(self, model: PreTrainedModel) -> dict[str, Any]:
        """Pairs left out, parameters without the embeddings."""
        record: dict[str, Any] = {
            "dropped": {"train": self.dropped, "reason": f"over {self.limit} tokens"}
        }
        if isinstance(self.shape, TeacherConfig):
            total, body = model.num_parameters(), self.shape.num_body_parameters()
            record["parameters"] = {"total": total, "body": body}
        return record

    def parameter_groups(self, model: PreTrainedModel, decay: float) -> list[dict[str, Any]]:
        """All weights decay."""
        return [{"params": list(model.parameters()), "weight_decay": decay}]

    def _encode(self, pairs: Pairs) -> tuple[list[Example], int]:
        """Encoded pairs within `max_length` on both sides, and how many are over it."""
        source = encode(self.reader, pairs.source)
        target = encode(self.reader, pairs.target, target=True)
        pairs_of_ids = zip(source, target, strict=True)
        kept = [pair for pair in pairs_of_ids if max(map(len, pair)) <= self.limit]
        return kept, len(pairs) - len(kept)
