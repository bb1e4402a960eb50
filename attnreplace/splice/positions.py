"""How long the sentences may be that a spliced model can read and write."""

from transformers import PreTrainedModel

from attnreplace.hosts import Site


def source_positions(model: PreTrainedModel) -> int | None:
    """Most source tokens that the students of a spliced model read; None where nothing limits them.

    The students of the encoder and of cross-attention read the source.
    """
    return _fewest(model, "encoder", "cross")


def target_positions(model: PreTrainedModel) -> int | None:
    """Most target tokens that the students of a spliced model read; None where nothing limits them.

    The students of the decoder and of cross-attention read the target, its start token included.
    """
    return _fewest(model, "decoder", "cross")


def _fewest(model: PreTrainedModel, *groups: str) -> int | None:
    """The fewest positions among the students at sites of these groups."""
    return min(
        (
            student["positions"]
            for bundle in getattr(model.config, "attnreplace", [])
            for site, student in bundle["students"].items()
            if Site.parse(site).group in groups
        ),
        default=None,
    )
