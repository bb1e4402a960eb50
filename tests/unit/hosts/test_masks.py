"""Every form of attention mask tells the same real tokens."""

import pytest
import torch
from transformers import AutoConfig
from transformers.masking_utils import create_bidirectional_mask

from attnreplace.errors import UserError
from attnreplace.hosts import padding_mask

X = torch.zeros(3, 4, 8)
REAL = torch.tensor([[1, 1, 0, 0], [1, 1, 1, 1], [0, 0, 1, 1]], dtype=torch.bool)


@pytest.mark.parametrize("implementation", ["sdpa", "eager", "flash_attention_2"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_masks_that_the_library_makes(implementation: str, dtype: torch.dtype) -> None:
    config = AutoConfig.for_model("bart")
    config._attn_implementation = implementation
    given = create_bidirectional_mask(
        config=config, inputs_embeds=X.to(dtype), attention_mask=REAL.long()
    )
    assert given is not None
    assert torch.equal(padding_mask(given, X), REAL)


def test_no_mask_means_no_padding() -> None:
    assert torch.equal(padding_mask(None, X), torch.ones(3, 4, dtype=torch.bool))


@pytest.mark.parametrize(
    "given",
    [
        torch.ones(3, 5),
        torch.ones(3, 1, 4),
        torch.ones(2, 1, 4, 4, dtype=torch.bool),
        torch.ones(3, 1, 4, 4, dtype=torch.long),
        object(),
    ],
    ids=["length", "rank", "batch", "integers", "no tensor"],
)
def test_anything_else_is_refused(given: torch.Tensor) -> None:
    with pytest.raises(UserError, match=r"for input \(3, 4, 8\); load the model with"):
        padding_mask(given, X)
