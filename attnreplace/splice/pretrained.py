"""Read back what `save_pretrained` of a spliced model writes."""

from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor
from transformers import GenerationConfig, PreTrainedModel

from attnreplace.errors import UserError
from attnreplace.splice.bundle import BundleConfig, build_students
from attnreplace.splice.splice import splice
from attnreplace.teacher.load import load_config


def load_spliced_pretrained(path: Path | str) -> PreTrainedModel:
    """Load a spliced model, in eval mode, from the folder its `save_pretrained` wrote.

    The library's own `from_pretrained` would build the attention modules that are gone, fill them
    with random numbers and drop the students: use this function. It needs neither the teacher nor
    the bundles: the students' shapes are in `config.json`, the weights in the safetensors files.

    Raises:
        UserError: no spliced model is there, or its files are damaged.
    """
    path = Path(path)
    if not (path / "config.json").is_file():
        raise UserError(f"no model in {path}; give the folder that save_pretrained wrote")
    config, auto_class = load_config(path)
    if not getattr(config, "attnreplace", None):
        raise UserError(f"the model in {path} has no students; load it with from_pretrained")
    bundles = [BundleConfig.from_json(v, f"{path / 'config.json'}") for v in config.attnreplace]
    del config.attnreplace
    model = auto_class.from_config(config, dtype=config.dtype, trust_remote_code=False)
    for bundle in bundles:
        splice(model, bundle, build_students(bundle, seed=0))
    _load_state(model, _read_state(path), path)
    if (path / "generation_config.json").is_file():
        model.generation_config = GenerationConfig.from_pretrained(path)
    return model


def _read_state(path: Path) -> dict[str, Tensor]:
    """All tensors of a folder, one file or several shards."""
    files = sorted(path.glob("model*.safetensors"))
    if not files:
        raise UserError(f"no model.safetensors in {path}; save the spliced model again")
    try:
        return {name: tensor for file in files for name, tensor in load_file(file).items()}
    except (OSError, SafetensorError) as error:
        raise UserError(
            f"the weights in {path} are damaged ({error}); save the spliced model again"
        ) from error


def _load_state(model: PreTrainedModel, state: dict[str, Tensor], path: Path) -> None:
    """Fill a model strictly.

    Missing may only be other names of a tensor that is there (tied weights), and what the model
    never saves because it computes it.
    """
    try:
        missing, problems = model.load_state_dict(state, strict=False)
    except RuntimeError as error:
        missing, problems = [], str(error).split("\n")[1:]
    own = model.state_dict(keep_vars=True)
    there = {id(own[name]) for name in state.keys() & own.keys()}
    computed = model._keys_to_ignore_on_save or ()
    problems += [n for n in missing if id(own[n]) not in there and n not in computed]
    if problems:
        raise UserError(
            f"the weights in {path} do not fit its config.json ({problems[0].strip()}); "
            "save the spliced model again"
        )
