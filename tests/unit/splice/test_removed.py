"""Attention removed: nothing but the residual is left of the sub-layer."""

import pytest
import torch
from transformers import PreTrainedModel

from attnreplace.errors import UserError
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


def test_decoder_sites_are_refused(teacher: PreTrainedModel) -> None:
    location = host_for(teacher).locate(teacher, Site("decoder", "self", 0))
    with pytest.raises(UserError, match="removing attention works on the encoder"):
        remove_attention(location)
