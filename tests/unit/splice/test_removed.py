"""Attention removed: nothing but the residual is left of the sub-layer."""

import pytest
import torch
from transformers import PreTrainedModel

from attnreplace.hosts import Site, host_for
from attnreplace.splice.removed import remove_attention


def test_tokens_no_longer_see_each_other(teacher: PreTrainedModel) -> None:
    host = host_for(teacher)
    ids = torch.tensor([[5, 6, 7, 2], [5, 9, 9, 2]])

    def first_token() -> torch.Tensor:
        with torch.no_grad():
            return teacher.get_encoder()(input_ids=ids).last_hidden_state[:, 0]

    with_attention = first_token()
    for layer in range(2):
        remove_attention(host.locate(teacher, Site("encoder", "self", layer)))
    without = first_token()
    assert not torch.equal(with_attention[0], with_attention[1])
    assert torch.equal(without[0], without[1])
    teacher.generate(input_ids=ids, max_new_tokens=3, num_beams=2)


@pytest.mark.parametrize("kind", ["self", "cross"])
def test_in_the_decoder(teacher: PreTrainedModel, kind: str) -> None:
    """Tokens no longer see each other, or no longer see the source; the cache still counts."""
    host = host_for(teacher)
    source = torch.tensor([[5, 6, 7, 2], [9, 6, 7, 2]])
    target = torch.tensor([[3, 4, 5], [3, 4, 5]] if kind == "cross" else [[3, 4, 5], [8, 9, 5]])
    source = source if kind == "cross" else source[:1].expand(2, -1)

    def last_token(**options: object) -> torch.Tensor:
        with torch.no_grad():
            return teacher(input_ids=source, decoder_input_ids=target, **options).logits[:, -1]

    with_attention = last_token()
    for layer in range(2):
        remove_attention(host.locate(teacher, Site("decoder", kind, layer)))
    without = last_token()
    assert not torch.equal(with_attention[0], with_attention[1])
    assert torch.equal(without[0], without[1])
    assert torch.equal(last_token(use_cache=False), without)
    greedy = [
        teacher.generate(input_ids=source, max_new_tokens=5, use_cache=cache)
        for cache in (True, False)
    ]
    assert torch.equal(*greedy)
