import numpy as np
import pytest
import torch

from attnreplace.activations.extract import ExtractConfig
from attnreplace.activations.ragged import real_rows
from attnreplace.activations.teacher_pass import storable
from attnreplace.errors import UserError

MASK = torch.tensor([[True, True], [True, False]])
ROWS = {"source": real_rows(MASK)}
ALL = {"source": None}


def values(largest: float, at: tuple[int, int] = (0, 1)) -> dict[str, torch.Tensor]:
    x = torch.ones(2, 2, 3)
    x[at] = largest
    return {"encoder.hidden_states.0": torch.zeros(2, 2, 3), "encoder.hidden_states.1": x}


def test_real_tokens_in_the_type_of_the_store() -> None:
    rows = storable(values(-5.5), ROWS, "float16")
    assert rows["encoder.hidden_states.1"].dtype == np.float16
    assert rows["encoder.hidden_states.1"].tolist() == [[1.0] * 3, [-5.5] * 3, [1.0] * 3]


def test_rows_of_the_axis_a_tensor_lies_along() -> None:
    ragged = {"source": real_rows(MASK), "target": real_rows(~MASK)}
    x = torch.arange(4.0).view(2, 2, 1)
    found = storable({"encoder.memory": x, "decoder.self.heads.0": x}, ragged, "float32")
    assert found["encoder.memory"].tolist() == [[0], [1], [2]]
    assert found["decoder.self.heads.0"].tolist() == [[3]]


@pytest.mark.parametrize("sign", [1, -1])
def test_a_value_beyond_float16_names_what_to_use(sign: int) -> None:
    storable(values(sign * 65519.0), ALL, "float16")
    message = r"encoder.hidden_states.1 reaches 6.55e\+04, beyond .* --dtype bfloat16 or float32"
    with pytest.raises(UserError, match=message):
        storable(values(sign * 65520.0), ALL, "float16")
    for dtype in ("bfloat16", "float32"):
        storable(values(sign * 65520.0), ALL, dtype)


def test_padding_may_hold_anything() -> None:
    storable(values(1e9, at=(1, 1)), ROWS, "float16")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_broken_teacher_is_told(value: float) -> None:
    with pytest.raises(UserError, match=r"encoder.hidden_states.1 is not finite"):
        storable(values(value), ROWS, "float32")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"sites": []}, "extract.sites is empty"),
        ({"dtype": "int8"}, "unknown dtype 'int8'; valid: float16, bfloat16, float32"),
        ({"batch_tokens": 0}, "extract.batch_tokens must be at least 1; got 0"),
        ({"shard_sentences": 0}, "extract.shard_sentences must be at least 1"),
        ({"max_train": 0}, "extract.max_train must be at least 1"),
    ],
)
def test_bad_settings(settings: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        ExtractConfig(**settings)  # type: ignore[arg-type]
