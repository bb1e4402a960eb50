"""Models without attention, trained from scratch: FF-only, gMLP and aMLP.

They follow the transformers library: importing this package registers them, so that its Auto
classes (`AutoModelForMaskedLM.from_pretrained`, ...) know them.
"""

from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForImageClassification,
    AutoModelForMaskedLM,
    AutoModelForSequenceClassification,
)

from attnreplace.models.ff_only import FFOnlyForImageClassification, FFOnlyModel
from attnreplace.models.ff_only_config import FFOnlyConfig
from attnreplace.models.gmlp_config import GMLPConfig, GMLPTextConfig, GMLPVisionConfig
from attnreplace.models.gmlp_text import (
    GMLPForMaskedLM,
    GMLPForSequenceClassification,
    GMLPTextModel,
)
from attnreplace.models.gmlp_vision import GMLPForImageClassification, GMLPVisionModel
from attnreplace.models.presets import PRESETS, preset

__all__ = [
    "PRESETS",
    "FFOnlyConfig",
    "FFOnlyForImageClassification",
    "FFOnlyModel",
    "GMLPConfig",
    "GMLPForImageClassification",
    "GMLPForMaskedLM",
    "GMLPForSequenceClassification",
    "GMLPTextConfig",
    "GMLPTextModel",
    "GMLPVisionConfig",
    "GMLPVisionModel",
    "preset",
]

for _config in (FFOnlyConfig, GMLPTextConfig, GMLPVisionConfig):
    AutoConfig.register(_config.model_type, _config)

AutoModel.register(FFOnlyConfig, FFOnlyModel)
AutoModel.register(GMLPTextConfig, GMLPTextModel)
AutoModel.register(GMLPVisionConfig, GMLPVisionModel)
AutoModelForImageClassification.register(FFOnlyConfig, FFOnlyForImageClassification)
AutoModelForImageClassification.register(GMLPVisionConfig, GMLPForImageClassification)
AutoModelForMaskedLM.register(GMLPTextConfig, GMLPForMaskedLM)
AutoModelForSequenceClassification.register(GMLPTextConfig, GMLPForSequenceClassification)
