import pytest

from attnreplace.distill.config import DistillConfig
from attnreplace.errors import UserError


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"methods": []}, "needs at least one method, one size and one family"),
        ({"families": []}, "needs at least one method, one size and one family"),
        ({"sizes": ["xxl"]}, "unknown size 'xxl'; valid: xs, s, m, l, xl"),
        ({"families": ["gmlp"]}, "unknown family 'gmlp'; valid: shallow_ff, token_mlp, sgu, amlp"),
        ({"spatial": "free"}, "unknown spatial 'free'; valid: toeplitz, dense"),
        ({"sites": ["encoder.self.0"]}, "sites names 'encoder.self.0'; valid: encoder, decoder, c"),
        ({"cross_form": "sentence"}, "unknown cross_form 'sentence'; valid: per-query, paper"),
        ({"hidden_layers": 0}, "distill.hidden_layers must be at least 1; got 0"),
        ({"positions": 0}, "distill.positions must be at least 1; got 0"),
        ({"seeds": 0}, "distill.seeds must be at least 1; got 0"),
        ({"objective": "mae"}, "unknown objective 'mae'; valid: auto, mse"),
        ({"placement": "layer"}, "unknown placement 'layer'; valid: student, data"),
        ({"max_students": 0}, "distill.max_students must be at least 1; got 0"),
    ],
)
def test_bad_settings(settings: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        DistillConfig(**settings)  # type: ignore[arg-type]
