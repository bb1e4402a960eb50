"""What a student costs more than the attention that it replaces.

In parameters and in what decoding keeps, by counting with and without it. In time, by a clock at
the layer of the site while the whole model works: of whole models' times, what one layer takes is
within the noise. The model works several times with and without students, by turns; of every call
of a layer, the shortest counts, which is what it takes when nothing else disturbs it.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import nn
from transformers import PreTrainedModel

from attnreplace.evaluate.cost import GENERATE_SECONDS, generation_state, workload
from attnreplace.evaluate.instruments import count_parameters, synchronize, timing
from attnreplace.hosts import Site, host_for
from attnreplace.splice.swap import swapped

Calls = dict[Site, list[float]]

ROUNDS = 7
"""How often each of the two is timed."""


@torch.no_grad()
def whole_cost(model: PreTrainedModel, what: str, source_tokens: int, new_tokens: int) -> int:
    """What a whole model costs.

    Args:
        model: in eval mode.
        what: of `search.config.MINIMISED`.
        source_tokens: length of the text that is read.
        new_tokens: and of its translation.

    Returns:
        Parameters, microseconds (the least of several times) or bytes.
    """
    if what == "params":
        return count_parameters(model)
    if what == "state":
        return generation_state(model, 1, source_tokens, new_tokens)
    call = workload(model, source_tokens, new_tokens)
    return round(1e6 * timing(call, model.device, GENERATE_SECONDS)["min_s"])


@torch.no_grad()
def student_costs(
    model: PreTrainedModel,
    method: str,
    students: Mapping[Site, nn.Module],
    what: str,
    source_tokens: int,
    new_tokens: int,
) -> dict[Site, int]:
    """What each of a bundle's students costs more than the attention at its site.

    Args:
        model: the teacher's, in eval mode; unchanged afterwards.
        method: the bundle's.
        students: by site, all of one group.
        what: as in `whole_cost`, and so are the lengths.
    """
    if what == "latency":
        return _latencies(model, method, students, workload(model, source_tokens, new_tokens))
    before, costs = whole_cost(model, what, source_tokens, new_tokens), {}
    for site, student in students.items():
        with swapped(model, method, {site: student}):
            costs[site] = whole_cost(model, what, source_tokens, new_tokens) - before
    return costs


def _latencies(
    model: PreTrainedModel,
    method: str,
    students: Mapping[Site, nn.Module],
    call: Callable[[], object],
) -> dict[Site, int]:
    """Microseconds in one call. A layer has one site of a group: no two students share a clock."""

    def without() -> Calls:
        with _clocks(model, students) as taken:
            call()
        return taken

    def with_students() -> Calls:
        with swapped(model, method, students):
            return without()

    without(), with_students()  # what is computed once and kept is computed now
    before, after = zip(*((without(), with_students()) for _ in range(ROUNDS)), strict=True)
    return {site: round(1e6 * (_least(after, site) - _least(before, site))) for site in students}


def _least(rounds: Sequence[Calls], site: Site) -> float:
    """Seconds of all calls of a site's layer, the shortest of each."""
    return sum(map(min, zip(*(taken[site] for taken in rounds), strict=True)))


@contextmanager
def _clocks(model: PreTrainedModel, sites: Iterable[Site]) -> Iterator[Calls]:
    """Seconds that the model spends in the layer of each site, call by call."""
    taken: Calls = {site: [] for site in sites}
    handles, host = [], host_for(model)

    def start(site: Site) -> Callable[..., None]:
        def clock(*_: object) -> None:
            synchronize(model.device)
            taken[site].append(-time.perf_counter())

        return clock

    def stop(site: Site) -> Callable[..., None]:
        def clock(*_: object) -> None:
            synchronize(model.device)
            taken[site][-1] += time.perf_counter()

        return clock

    for site in taken:
        layer = host.locate(model, site).layer
        handles.append(layer.register_forward_pre_hook(start(site)))
        handles.append(layer.register_forward_hook(stop(site)))
    try:
        yield taken
    finally:
        for handle in handles:
            handle.remove()
