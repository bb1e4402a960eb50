"""One evaluation, as tables, figures and the page use it."""

import re
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from attnreplace.evaluate.labels import NON_CAUSAL, SHORTER
from attnreplace.evaluate.specs import without_seed
from attnreplace.report.metrics import Measure
from attnreplace.report.scopes import Scope

Key = TypeVar("Key", bound=Hashable)

KINDS = ("teacher", "tuned", "scratch", "removed", "untrained", "student")
METHODS = ("alr", "aslr", "alrr", "elr")
SIZES = ("xs", "s", "m", "l", "xl")
EXAMPLES = {"translation": "sentence", "image": "image", "mlm": "block of text"}


@dataclass(frozen=True)
class Score:
    """A score of a whole test set, and what is needed to reproduce it."""

    score: float
    signature: str = ""


@dataclass(frozen=True)
class Latency:
    """Median wall-clock seconds of one batch; a part that was not measured is None."""

    encoder: float | None
    """The encoder's forward pass, where replaced self-attention shows most."""

    generate: float | None
    """A whole greedy translation."""


@dataclass(frozen=True)
class OverLong:
    """What was done with sentences that have more tokens than a student has positions."""

    policy: str | None
    limit: int | None
    count: int | None
    target_limit: int | None = None
    targets: int | None = None
    """Translations that did not end within that limit."""


@dataclass(frozen=True)
class Result:
    """One evaluation: a system on a test set, scored in one way."""

    kind: str
    name: str
    label: str
    method: str | None
    family: str | None
    size: str | None
    variant: str
    """What sets it apart from the plain students of its method and size; mostly nothing."""

    sites: tuple[str, ...]
    parts: tuple[str, ...]
    """Names of the bundles in it; early records do not say."""

    kinds: tuple[str, ...]
    """Kinds of its students (`students.KINDS`), from the farthest from attention to the nearest."""

    task: str
    pair: str
    """Languages of a translation; empty in other tasks."""

    test_set: str
    examples: int
    beam: int | None
    """Beam width of a translation; None in other tasks."""

    over_long: OverLong
    measure: Measure
    """What systems are compared by."""

    scores: Mapping[str, Score]
    """By the names of their measures."""

    p: float | None
    """How likely chance alone makes BLEU differ as much from the teacher's; where it was tested."""

    replaced: int | None
    """Parameters of the teacher's attention that the students stand in for."""

    replacement: int | None
    """Parameters of the students."""

    whole: int | None
    """Parameters of the model as it is evaluated."""

    encoder_flops: float | None
    """Operations of the encoder a source token."""

    source_tokens: int | None
    """Tokens of the examples that cost was measured on: of an image, all that it is."""

    decoder_flops: float | None
    """Operations of the decoder a target token."""

    latency: Mapping[int, Latency]
    """By batch size."""

    state: Mapping[int, int]
    """Bytes that generation keeps from step to step, by batch size; early records lack it."""

    device: str | None
    threads: int | None
    relative_mse: Mapping[str, float]
    """By site; empty where it does not apply."""

    recipe: str | None
    seed: int | None
    digests: Mapping[str, str]
    versions: Mapping[str, Any]
    created: str

    @property
    def score(self) -> float:
        """What systems are compared by."""
        return self.scores[self.measure.name].score

    @property
    def setting(self) -> str:
        """How it was scored, in names of files."""
        return self.measure.name if self.beam is None else f"beam{self.beam}"

    @property
    def example(self) -> str:
        """What an example of the test set is."""
        return "sentence" if self.measure.name == "similarity" else EXAMPLES.get(self.task, "text")

    @property
    def relative_error(self) -> float | None:
        """Mean over the sites of the error relative to the target's variance."""
        values = list(self.relative_mse.values())
        return sum(values) / len(values) if values else None

    @property
    def scope(self) -> Scope:
        """What is replaced."""
        return Scope.of(self.sites)

    @property
    def nature(self) -> str:
        """What its students are, by the one that is nearest to attention; nothing without any.

        "pairwise"; "static, non-causal" where cross-attention is replaced in the paper's form.
        """
        causal = [] if NON_CAUSAL not in self.label else [SHORTER[NON_CAUSAL]]
        return ", ".join([*self.kinds[-1:], *causal])

    @property
    def short_label(self) -> str:
        """The label for figures, where there is little room."""
        label = self.label
        for words, short in SHORTER.items():
            label = label.replace(words, short)
        return label

    @property
    def image_flops(self) -> float | None:
        """Operations of an encoder of images on one of them."""
        if self.encoder_flops is None or self.source_tokens is None:
            return None
        return self.encoder_flops * self.source_tokens

    @property
    def flops(self) -> float | None:
        """Operations of encoder and decoder a token."""
        if self.encoder_flops is None or self.decoder_flops is None:
            return None
        return self.encoder_flops + self.decoder_flops

    @property
    def rank(self) -> tuple[Any, ...]:
        """Sort key: the teacher, the teacher tuned, models trained from scratch; for each scope
        removed, untrained, students by method and size.
        """
        return (
            self.kind != "teacher",
            self.scope.order,
            position(self.kind, KINDS),
            self.variant,
            position(self.method, METHODS),
            position(self.size, SIZES),
            # Students that differ in their seed only are one system.
            without_seed(self.name, self.seed),
            self.recipe or "",
        )


def position(value: str | None, order: Sequence[str]) -> int:
    """Place in `order`; what the order does not know comes last."""
    return order.index(value) if value in order else len(order)


def of_several(named: Iterable[tuple[Key, str]]) -> set[Key]:
    """The keys, as labels are, that stand beside more than one name."""
    names: dict[Key, set[str]] = {}
    for key, name in named:
        names.setdefault(key, set()).add(name)
    return {key for key, found in names.items() if len(found) > 1}


def any_seed(name: str) -> str:
    """A name or label without the seeds in it."""
    return re.sub(r"-seed\d+", "", name)
