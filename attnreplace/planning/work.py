"""Operations and memory traffic of teachers and students, counted from their shapes.

Operations are those of the matrix products; a multiply-add is two. Norms, activations and soft-max
are traffic: they take time for the bytes they move.
"""

from dataclasses import astuple, dataclass, replace

from torch import nn
from transformers import PreTrainedModel

from attnreplace.hosts import base_model, host_for
from attnreplace.planning.corpora import SplitCounts
from attnreplace.students import StudentConfig, student_class
from attnreplace.students.running_sums import CHUNK

UPDATE_BYTES = 120
"""Moved for every parameter in an update within the backward pass. AdamW reads weight and two
moments and writes them: 24. The rest is the passes over weights and gradient before, and that
memory is slower for them than for the plain sums that its rate is measured by."""
WHOLE_BYTES = 300
"""The same where the gradient is whole in memory."""
GPU_BYTES = 100
"""The same on a GPU, and for teachers: assumed."""
CAST_BYTES = 30
"""Moved beyond that where products are made in bfloat16: both are cast and packed."""
HIDDEN_BYTES = 100
"""Moved for every value of a hidden layer in an update: about 25 passes of float32."""
SUMMARY_BYTES = 900
"""The same for summaries, of which each hidden value also moves a state."""
PAIR_BYTES = 90
"""Moved in an update for every hidden value of every pair of tokens, where a student has such."""
ENDS_BYTES = 200
"""Moved for every value of a student's input and output in an update, cut and padding included.

The bytes of updates and casts were set from CPU seconds of updates of single students, d_model
128, 2048 tokens, on one core with 85 G operations a second in float32, 197 G in bfloat16 and 36
GB/s: forms "sentence" in S, M and L, one network and one each head, "prefix" in S, M and L,
"per-query" in M. They give these within a factor of 1.4. "Prefix" was measured before its sums were
made in chunks. Bytes of summaries and pairs were set from whole runs, which they give within a
factor of two; the form "paper", other mixers and GPUs were not measured."""
MIXER_BYTES = 40
"""Held for every hidden value of a token mixer in an update, gMLP's Z included: 30 to 40 bytes were
counted that float32 keeps for the backward pass."""
LINEAR_BYTES = 96
"""Moved in the teacher's forward pass for every value that a linear layer reads or writes, there
and in the norms, activations, residuals and soft-max between them. Set from the seconds of a
training of the paper's teacher on one core; its extraction then takes 1.2 times the estimate."""
GPU_LINEAR_BYTES = 16
"""The same on a GPU: assumed; once there, and about three times between them."""


@dataclass(frozen=True)
class Work:
    """So much to do."""

    flops: float = 0.0
    traffic: float = 0.0
    """Bytes of activations between the processor and its memory, beyond those of the products."""
    weights: float = 0.0
    """Bytes of weights, gradients and moments."""
    casts: float = 0.0
    """Of those, what comes on top where products are made in bfloat16."""
    calls: float = 0.0
    """Updates of single students."""

    def __add__(self, other: "Work") -> "Work":
        pairs = zip(astuple(self), astuple(other), strict=True)
        return Work(*(mine + theirs for mine, theirs in pairs))

    def __mul__(self, times: float) -> "Work":
        return Work(*(times * value for value in astuple(self)))

    def on_share(self, count: int) -> "Work":
        """What each of `count` devices has to do that take their shares of every batch."""
        return replace(self, flops=self.flops / count, traffic=self.traffic / count)


def student_products(config: StudentConfig, counts: SplitCounts, axis: str) -> tuple[float, float]:
    """Operations of a forward pass over a split: of the first layer, and of all later ones.

    Only real tokens take part, so the counts are those of the tokens and not of the positions.
    The other families have a norm before their first layer, which therefore counts among the later
    ones, unless the norm has no affine part.

    Args:
        axis: of the student's own tokens, "source" or "target".
    """
    tokens, width = counts.of(axis), config.hidden * config.groups
    if config.family == "summaries":
        return _summary_products(config, counts, axis)
    if config.family != "shallow_ff":
        return 0.0, _mixer_products(config, counts, axis)
    rows = _rows(config, counts, axis)
    read = tokens if config.form in ("sentence", "prefix") else tokens + counts.source
    first = 2.0 * read * config.d_model * width
    if config.form == "per-query":  # three vectors of the memory, weighed for each query
        first += 6.0 * tokens * width
    deep = 2.0 * rows * (config.hidden_layers - 1) * config.hidden * width
    return first, deep + 2.0 * tokens * config.d_out * config.hidden


def student_epoch(
    config: StudentConfig,
    train: SplitCounts,
    validation: SplitCounts,
    axis: str,
    updates: int,
    each: int,
) -> Work:
    """One epoch of training one student, the validation at its end included.

    Its input needs no gradient: the first layer's backward pass is one product, later layers' two.

    Args:
        axis: of the student's own tokens, "source" or "target".
        updates: batches in the epoch.
        each: bytes moved for every parameter in an update, as `update_bytes` says.
    """
    first, later = student_products(config, train, axis)
    flops = 2 * first + 3 * later + sum(student_products(config, validation, axis))
    tokens = train.of(axis)
    moved = updates * config.num_parameters()
    return Work(
        flops=flops,
        traffic=_hidden_bytes(config, train, axis)
        + ENDS_BYTES * tokens * (config.d_model + config.d_out),
        weights=each * moved,
        casts=CAST_BYTES * moved,
        calls=updates,
    )


def update_bytes(config: StudentConfig, gpu: bool, within: bool) -> int:
    """Moved for every parameter of a student in an update.

    Args:
        config: the student.
        gpu: where it is trained.
        within: on a CPU: whether by a process that shares its batches with no other.
    """
    if gpu:
        return GPU_BYTES
    return UPDATE_BYTES if within and student_class(config).frees_gradients else WHOLE_BYTES


def hidden_values(config: StudentConfig) -> int:
    """Values of the hidden layers, for one row: a sentence, or a token."""
    if config.family == "summaries":
        return 2 * config.heads * config.hidden * config.groups * config.hidden_layers
    return config.hidden * config.groups * config.hidden_layers


def _hidden_bytes(config: StudentConfig, counts: SplitCounts, axis: str) -> float:
    """Moved in an epoch's updates for what a student computes between its ends."""
    values = _rows(config, counts, axis) * hidden_values(config)
    if config.family == "summaries":
        return SUMMARY_BYTES * values
    return HIDDEN_BYTES * values + PAIR_BYTES * _pair_values(config, counts, axis)


def _pair_values(config: StudentConfig, counts: SplitCounts, axis: str) -> float:
    """Hidden values of pairs of tokens, counted as those of sentences of the mean length."""
    if config.family != "pairwise":
        return 0.0
    hidden = config.hidden * config.heads * config.groups * config.hidden_layers
    return counts.of(axis) * _others(config, counts, axis) / max(1, counts.pairs) * hidden


def _others(config: StudentConfig, counts: SplitCounts, axis: str) -> float:
    """The tokens that a student reads for its own: of the source at cross-attention."""
    return counts.source if config.form == "per-query" else counts.of(axis)


def _rows(config: StudentConfig, counts: SplitCounts, axis: str) -> int:
    """How many vectors a hidden layer computes."""
    at_once = config.family == "shallow_ff" and config.form in ("sentence", "paper")
    return counts.pairs if at_once else counts.of(axis)


def _mixer_products(config: StudentConfig, counts: SplitCounts, axis: str) -> float:
    """Every weight once a token: nearly so, for there are few that mix tokens.

    But a gate's weights over the tokens belong to positions, of which a token has one; pairs of
    tokens, counted as those of sentences of the mean length, have a score for every head.
    """
    cross = config.form == "per-query"
    tokens, others = counts.of(axis), _others(config, counts, axis)
    read = config.d_model * hidden_values(config)
    if config.family == "gated":
        rest = config.num_parameters() - config.positions * read
        return 2.0 * (read * others + rest * tokens)
    read *= cross
    mapped = read * counts.source + (config.num_parameters() - read) * tokens
    return 2.0 * (mapped + _pair_values(config, counts, axis))


def _summary_products(config: StudentConfig, counts: SplitCounts, axis: str) -> tuple[float, float]:
    """Every weight once a token, and summaries that are added up and mixed, or run along."""
    tokens, others = counts.of(axis), _others(config, counts, axis)
    gates = config.heads * config.hidden * config.groups * config.hidden_layers
    mixed = config.hidden * config.d_out * config.hidden_layers
    asking = config.d_model * gates
    maps = asking * tokens + (config.num_parameters() - asking) * others
    steps: float = mixed * (others + tokens)
    if config.form == "prefix":
        within = min(CHUNK, tokens / max(1, counts.pairs)) * tokens
        carried = max(0, tokens - CHUNK * counts.pairs)
        steps = within * (gates + config.d_out * config.hidden_layers) + 2 * mixed * carried
    first = maps / config.hidden_layers
    return 2.0 * first, 2.0 * (maps - first + steps)


def teacher_forward(
    model: PreTrainedModel, counts: SplitCounts, decoder: bool, gpu: bool = False
) -> Work:
    """The stacks over a split, without the output layer; of an encoder alone all but its head.

    Attention is counted for sentences of the mean length; as it grows with the square, this is a
    little too few.

    Args:
        decoder: whether the decoder runs as well, on the references.
        gpu: where it runs.
    """
    each = _linear_bytes(gpu)
    pairs = max(1, counts.pairs)
    host, sites = host_for(model), host_for(model).sites(model)
    width = host.locate(model, sites[0]).d_model
    source, target = counts.source / pairs, counts.target / pairs
    stack = model.get_encoder() if model.config.is_encoder_decoder else base_model(model)
    encoder = _linears(stack, each) * counts.source
    layers = sum(site.stack == "encoder" for site in sites)
    attended = 4.0 * counts.source * source * width * layers
    if not decoder:
        return encoder + Work(attended)
    cross = [site for site in sites if site.group == "cross"]
    memory = Work()
    for site in cross:
        attention = host.locate(model, site).attention
        memory += _linears(attention.get_submodule("k_proj"), each)
        memory += _linears(attention.get_submodule("v_proj"), each)
    attended += 4.0 * counts.target * (target + source) * width * len(cross)
    own = _linears(model.get_decoder(), each) + memory * -1
    return encoder + own * counts.target + memory * counts.source + Work(attended)


def output_forward(model: PreTrainedModel, counts: SplitCounts, gpu: bool = False) -> Work:
    """The output layer over the references of a split."""
    each = _linear_bytes(gpu)
    width, vocabulary = model.config.d_model, model.config.vocab_size
    return Work(2.0 * width * vocabulary, each * (width + vocabulary)) * counts.target


def _linear_bytes(gpu: bool) -> int:
    return GPU_LINEAR_BYTES if gpu else LINEAR_BYTES


def _linears(module: nn.Module, each: int) -> Work:
    """All linear layers of a module, for one token; `each` value in or out moves so many bytes."""
    linears = [part for part in module.modules() if isinstance(part, nn.Linear)]
    return Work(
        flops=2.0 * sum(linear.weight.numel() for linear in linears),
        traffic=each * sum(part.in_features + part.out_features for part in linears),
    )
