from torch import nn

from attnreplace.models import GMLPForMaskedLM, GMLPTextConfig
from attnreplace.teacher.learners.base import Learner, similar_batches


def test_every_example_once_in_an_order_of_the_epoch():
    lengths = [1 + index % 7 for index in range(1003)]
    batches = similar_batches(lengths, 8, seed=0, epoch=0)
    assert sorted(index for batch in batches for index in batch) == list(range(1003))
    assert sorted(map(len, batches)) == [3] + [8] * 125
    assert batches == similar_batches(lengths, 8, seed=0, epoch=0)
    assert batches != similar_batches(lengths, 8, seed=0, epoch=1)
    assert batches != similar_batches(lengths, 8, seed=1, epoch=0)


def test_lengths_of_a_batch_are_similar():
    lengths = [1 + index % 60 for index in range(6000)]
    batches = similar_batches(lengths, 10, seed=0, epoch=0)
    spread = [max(lengths[i] for i in b) - min(lengths[i] for i in b) for b in batches]
    assert sum(spread) / len(spread) < 3


def test_norms_and_biases_do_not_decay():
    config = GMLPTextConfig(
        vocab_size=20, hidden_size=8, intermediate_size=16, num_hidden_layers=1,
        max_position_embeddings=6,
    )  # fmt: skip
    model = GMLPForMaskedLM(config)
    decaying, exempt = Learner.parameter_groups(None, model, 0.1)  # type: ignore[arg-type]
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    assert (decaying["weight_decay"], exempt["weight_decay"]) == (0.1, 0.0)
    kept = {names[id(parameter)] for parameter in exempt["params"]}
    norms = {n for n, m in model.named_modules() if isinstance(m, nn.LayerNorm)}
    wanted = {n for n in names.values() if n.endswith("bias") or n.rpartition(".")[0] in norms}
    assert kept == wanted and kept
    assert len(kept) + len(decaying["params"]) == len(names)
