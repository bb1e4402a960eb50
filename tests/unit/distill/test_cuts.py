from typing import Any

import pytest
import torch
from transformers import M2M100Config, M2M100ForConditionalGeneration, PreTrainedModel

from attnreplace.activations.ragged import ActivationBatch
from attnreplace.distill.cuts import Cut, examples, target_spreads, tensor_names
from attnreplace.distill.team import Team
from attnreplace.hosts import Site, axis_of, host_for
from attnreplace.methods import METHODS

WIDTH = 8
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def model() -> PreTrainedModel:
    torch.manual_seed(0)
    config = M2M100Config(
        vocab_size=20,
        d_model=WIDTH,
        encoder_layers=2,
        decoder_layers=2,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=16,
        decoder_ffn_dim=16,
    )
    return M2M100ForConditionalGeneration(config).eval()


def cut(model: Any, method: str, site: str) -> Cut:
    return Cut(METHODS[method], host_for(model).locate(model, Site.parse(site)))


def batch(cuts: list[Cut]) -> ActivationBatch:
    torch.manual_seed(1)
    lengths = {"source": torch.tensor([2, 4]), "target": torch.tensor([3, 1])}
    return ActivationBatch(
        lengths,
        {
            name: torch.randn(int(lengths[axis_of(name)].sum()), WIDTH)
            for name in tensor_names(cuts)
        },
    )


def test_cross_attention_hands_the_memory_along(model: Any) -> None:
    cuts = [cut(model, "alr", "decoder.cross.0"), cut(model, "alr", "decoder.self.0")]
    stored = batch(cuts)
    (_, cross), (_, own) = examples(stored, cuts, Team())
    memory, _ = stored.padded("encoder.memory")
    heads = stored.tensors["decoder.cross.heads.0"]
    mask = stored.padded("decoder.cross.heads.0")[1]
    assert cross.memory is not None
    assert torch.equal(cross.memory, memory) and memory.shape == (2, 4, WIDTH)
    assert torch.equal(cross.target, heads) and heads.shape == (4, WIDTH)
    assert torch.equal(cross.real.mask, mask)
    assert cross.tokens == own.tokens == 4
    assert not cross.x[~mask].any()
    assert own.memory is None


def test_no_tensor_is_padded_twice(model: Any) -> None:
    cuts = [
        cut(model, "alr", "decoder.cross.0"),
        cut(model, "alrr", "decoder.cross.1"),
        cut(model, "elr", "encoder.self.0"),
        cut(model, "alrr", "encoder.self.1"),
    ]
    stored = batch(cuts)
    first, second, layer, residual = (e for _, e in examples(stored, cuts, Team()))
    assert first.memory is second.memory
    assert first.real is second.real
    # What leaves a layer is what enters the next.
    assert layer.target is stored.tensors["encoder.hidden_states.1"]
    assert torch.equal(residual.real.take(residual.x), layer.target)


def test_methods_of_one_cut_share_its_name(model: Any) -> None:
    alr, aslr, alrr = (cut(model, m, "decoder.cross.0") for m in ("alr", "aslr", "alrr"))
    assert alr.name == aslr.name != alrr.name
    assert tensor_names([alr, alrr]) == [
        "decoder.cross.heads.0",
        "decoder.cross.hidden_states.0",
        "encoder.memory",
    ]


def test_spread_is_over_the_tokens_of_the_sites_own_axis(model: Any) -> None:
    cuts = {site: cut(model, "alr", site) for site in ("encoder.self.0", "decoder.cross.0")}
    stored = batch(list(cuts.values()))
    spreads = target_spreads([stored], cuts, CPU)
    assert spreads["encoder.self.0"].count == 6
    assert spreads["decoder.cross.0"].count == 4
    heads = stored.tensors["decoder.cross.heads.0"].double()
    expected = (heads - heads.mean(0)).square().sum().item()
    assert spreads["decoder.cross.0"].total == pytest.approx(expected)


@pytest.mark.parametrize("count", [2, 3])
def test_shares_of_a_batch_are_all_of_it(model: Any, count: int) -> None:
    cuts = [cut(model, "alr", "decoder.cross.0")]
    stored = batch(cuts)
    ((_, whole),) = examples(stored, cuts, Team())
    shares = [
        example
        for index in range(count)
        for _, example in examples(stored, cuts, Team(index, count))
    ]
    real = [share for share in shares if share.weight]
    assert len(real) == 2 and [share.weight for share in shares] == [1.0, 1.0, 0.0][:count]
    assert all(share.tokens == whole.tokens for share in shares)
    assert torch.equal(torch.cat([share.target for share in real]), whole.target)
    for row, share in enumerate(real):
        seq = share.x.shape[1]
        assert torch.equal(share.x[0], whole.x[row, :seq])
        assert share.memory is not None and whole.memory is not None
        assert torch.equal(share.memory[0], whole.memory[row, : share.memory.shape[1]])
