"""The models of the two papers, by name.

FF-only: Melas-Kyriazi, arXiv 2105.02723. gMLP and aMLP: Liu et al., arXiv 2105.08050, Tables 1
(images) and 5 (text).
"""

from typing import Any

from transformers import PreTrainedConfig

from attnreplace.errors import UserError
from attnreplace.models.ff_only_config import FFOnlyConfig
from attnreplace.models.gmlp_config import GMLPTextConfig, GMLPVisionConfig

_FF_TINY = {
    "hidden_size": 192,
    "num_hidden_layers": 12,
    "num_attention_heads": 3,
    "patch_size": 16,
    "drop_path_rate": 0.1,
    "num_labels": 1000,
}


def _vision(hidden: int, intermediate: int, drop_path: float, attention: int = 0) -> dict[str, Any]:
    return {
        "hidden_size": hidden,
        "intermediate_size": intermediate,
        "num_hidden_layers": 30,
        "drop_path_rate": drop_path,
        "num_labels": 1000,
        "attention_size": attention,
    }


def _text(layers: int, hidden: int, intermediate: int, attention: int = 0) -> dict[str, Any]:
    return {
        "num_hidden_layers": layers,
        "hidden_size": hidden,
        "intermediate_size": intermediate,
        "max_position_embeddings": 512,
        "attention_size": attention,
    }


PRESETS: dict[str, tuple[type[PreTrainedConfig], dict[str, Any]]] = {
    "ff-only-tiny": (FFOnlyConfig, _FF_TINY),
    "ff-only-tiny-attention": (FFOnlyConfig, {**_FF_TINY, "attention_only": True}),
    "ff-only-base": (
        FFOnlyConfig,
        {**_FF_TINY, "hidden_size": 768, "num_attention_heads": 12},
    ),
    "ff-only-large": (
        FFOnlyConfig,
        {
            **_FF_TINY,
            "hidden_size": 1024,
            "num_hidden_layers": 24,
            "num_attention_heads": 16,
            "patch_size": 32,
            "position_grid": 14,
        },
    ),
    "gmlp-ti": (GMLPVisionConfig, _vision(128, 768, 0.0)),
    "gmlp-s": (GMLPVisionConfig, _vision(256, 1536, 0.05)),
    "gmlp-b": (GMLPVisionConfig, _vision(512, 3072, 0.2)),
    "amlp-ti": (GMLPVisionConfig, _vision(128, 768, 0.0, 64)),
    "amlp-s": (GMLPVisionConfig, _vision(256, 1536, 0.05, 64)),
    "amlp-b": (GMLPVisionConfig, _vision(512, 3072, 0.2, 64)),
    "gmlp-base": (GMLPTextConfig, _text(48, 512, 3072)),
    "gmlp-large": (GMLPTextConfig, _text(96, 768, 3072)),
    "gmlp-xlarge": (GMLPTextConfig, _text(144, 1024, 4096)),
    "amlp-base": (GMLPTextConfig, _text(36, 512, 3072, 64)),
    "amlp-large": (GMLPTextConfig, _text(72, 768, 3072, 128)),
}
"""What each name stands for: the class of its configuration, and its settings.

The drop-path rate of FF-only models is that of the DeiT recipe they were trained with. The paper
has aMLP for text alone: those for images are its gMLPs with the tiny attention of the base model.
"""


def preset(name: str, **changes: Any) -> PreTrainedConfig:
    """A new configuration of a preset.

    Args:
        name: a key of `PRESETS`.
        changes: settings that differ from the preset's.

    Raises:
        UserError: there is no such preset.
    """
    if name not in PRESETS:
        raise UserError(f"no model preset {name!r}; valid presets: {', '.join(PRESETS)}")
    config, settings = PRESETS[name]
    return config(**{**settings, **changes})
