"""What replaced layers keep in the library's `Cache` in place of keys and values.

The library reorders, repeats and selects rows of a cache layer by layer, and asks the layers for
the length of the past: layer 0 for the whole model, so that a layer which keeps nothing counts too.
"""

from collections.abc import Callable
from typing import Any, cast

from torch import Tensor
from transformers.cache_utils import Cache, CacheLayerMixin, StaticLayer

from attnreplace.errors import UserError


class StateLayer(CacheLayerMixin):
    """A student's state of a batch of sentences: tensors with the batch first.

    Shallow networks and gates keep sums, whose size does not depend on how many tokens were read;
    a token mixer keeps room for as many as it has positions, and what weighs tokens one by one
    keeps something of each, which grows as keys and values do. The state stays on its device when a
    cache is offloaded, a large one too.
    """

    is_sliding = False
    supports_early_init = False

    def __init__(self) -> None:
        super().__init__()
        self.state: tuple[Tensor, ...] | None = None
        self.length = 0
        """How many tokens the state has read: what the library takes for the length of the past."""
        self.padded = False
        """Whether some of these were padding."""

    def keep(self, state: tuple[Tensor, ...], length: int, padded: bool = False) -> None:
        """Take the state after `length` tokens."""
        self.state, self.length, self.padded = state, length, padded
        self.is_initialized = True

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        """Not for states."""
        raise TypeError("a replaced layer keeps a student's state, no keys and values")

    def update(
        self, key_states: Tensor, value_states: Tensor, *args: object, **kwargs: object
    ) -> tuple[Tensor, Tensor]:
        """Refused: the cache belongs to a model whose layer is replaced.

        Raises:
            UserError: always.
        """
        raise UserError(
            "this cache was filled by a model in which the layer is replaced; "
            "start each model from a cache of its own"
        )

    def get_seq_length(self) -> int:
        """Tokens read."""
        return self.length

    def get_mask_sizes(self, query_length: int | Tensor) -> tuple[int, int]:
        """Columns of the mask for these new tokens, and where it starts.

        Args:
            query_length: how many tokens are new; some versions give their positions instead.
        """
        new = query_length if isinstance(query_length, int) else query_length.shape[0]
        return self.length + new, 0

    def get_max_length(self) -> int:
        """No bound that the library should know: the student itself refuses longer sentences."""
        return -1

    def get_max_cache_shape(self) -> int:
        """The same under its older name."""
        return -1

    def offload(self) -> None:
        """Stay."""

    def prefetch(self) -> None:
        """Be there."""

    def reset(self) -> None:
        """Forget the sentences."""
        self.state, self.length, self.padded = None, 0, False
        self.is_initialized = False

    def crop(self, tokens: int) -> None:
        """Forget the last `-tokens` tokens; a positive number is what is to be left of them.

        Raises:
            UserError: some of the tokens are to be left. The state of most students is a sum over
                them, out of which none can be taken again, so that no student is asked to.
        """
        left = min(tokens, self.length) if tokens > 0 else self.length + tokens
        if left <= 0:
            self.reset()
        elif left < self.length:
            raise UserError(
                "a replaced layer does not take tokens back; "
                "decode without an assistant, prompt look-up or other ways that crop the cache"
            )

    def reorder_cache(self, beam_idx: Tensor) -> None:
        """Row i becomes what row `beam_idx[i]` is."""
        self._each(lambda x: x.index_select(0, beam_idx.to(x.device)))

    def batch_repeat_interleave(self, repeats: int) -> None:
        """Every row `repeats` times in a row."""
        self._each(lambda x: x.repeat_interleave(repeats, dim=0))

    def batch_select_indices(self, indices: Tensor) -> None:
        """Only these rows."""
        self._each(lambda x: x[indices.to(x.device), ...])

    def _each(self, change: Callable[[Tensor], Tensor]) -> None:
        if self.state is not None:
            self.state = tuple(change(tensor) for tensor in self.state)


def state_layer(cache: Cache, index: int) -> StateLayer:
    """The `StateLayer` of a layer, put in place of the empty one that the library made.

    Args:
        cache: the part of the cache for the kind of attention: self or cross.
        index: the layer.

    Raises:
        UserError: the cache is of fixed size, or holds another model's keys and values.
    """
    layers = cast(list[Any], cache.layers)
    while len(layers) <= index:  # some caches add their layers as they are filled
        layers.append(cast(Any, cache.layer_class_to_replicate)())
    layer = layers[index]
    if isinstance(layer, StateLayer):
        return layer
    if isinstance(layer, StaticLayer):
        raise UserError(
            "replaced decoder layers decode with a cache that grows; "
            'leave cache_implementation="static" away'
        )
    if layer.get_seq_length() > 0:
        raise UserError(
            "this cache was filled by a model in which the layer is not replaced; "
            "start each model from a cache of its own"
        )
    layers[index] = StateLayer()
    return layers[index]
