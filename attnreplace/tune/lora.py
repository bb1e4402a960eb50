"""Low-rank adapters of what a spliced model keeps of its teacher.

LoRA (Hu et al. 2021, arXiv 2106.09685): W x + (alpha / rank) B A x, of which A and B are trained.
They are made by the library peft, which is asked for only here.
"""

from collections.abc import Collection
from importlib.util import find_spec
from typing import Any

from torch import nn
from transformers import PreTrainedModel

from attnreplace.errors import UserError


def require_peft() -> None:
    """Refuse to begin without the library.

    Raises:
        UserError: it is not installed.
    """
    if find_spec("peft") is None:
        raise UserError(
            "tune.train = lora needs the library peft, which is not installed; run `pip install "
            "peft`, or choose students, norms or all"
        )


class Adapters:
    """Adapters in the linear layers of a model, in place; all else of it is frozen."""

    def __init__(
        self, model: PreTrainedModel, apart: Collection[nn.Module], rank: int, alpha: int
    ) -> None:
        """Put them in.

        Args:
            model: on the CPU, in float32; what it computes does not change yet.
            apart: modules that are left alone, as a whole.
            rank: of every adapter.
            alpha: its output counts `alpha / rank` times.

        Raises:
            UserError: the library is missing, or the model has nothing to adapt.
        """
        require_peft()
        from peft import LoraConfig, LoraModel

        names = linear_layers(model, apart)
        if not names:
            raise UserError(
                "the model has no linear layers beside its students; choose --train students"
            )
        config = LoraConfig(r=rank, lora_alpha=alpha, target_modules=names)
        self._tuner: Any = LoraModel(model, config, "default")

    def merge(self) -> None:
        """Add them to the weights and take them out: the model is of its own classes again."""
        self._tuner.merge_and_unload()


def linear_layers(model: PreTrainedModel, apart: Collection[nn.Module]) -> list[str]:
    """Names of the linear layers, but for the output layer, whose weights are mostly embeddings."""
    left = {id(part) for module in apart for part in module.modules()}
    left.add(id(model.get_output_embeddings()))
    return [
        name
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear) and id(module) not in left
    ]
