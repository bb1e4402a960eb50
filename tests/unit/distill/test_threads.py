"""Threads that take students."""

import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from attnreplace.distill.threads import Threads


@pytest.fixture(autouse=True)
def four() -> Iterator[None]:
    """torch has four threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    yield
    torch.set_num_threads(before)


def fed(*sizes: int) -> list[tuple[Any, Any]]:
    return [(SimpleNamespace(parameters=size), 10 * size) for size in sizes]


def where(trainee: Any, example: Any) -> tuple[int, int, str]:
    return example, torch.get_num_threads(), threading.current_thread().name


def test_one_is_the_caller_with_all_that_torch_has() -> None:
    with Threads(1) as threads:
        done = threads.each(where, fed(1, 2))
    own = threading.current_thread().name
    assert [result for _, result in done] == [(10, 4, own), (20, 4, own)]


@pytest.mark.parametrize(("count", "each"), [(2, 2), (3, 1), (4, 1)])
def test_torch_s_threads_are_shared_out(count: int, each: int) -> None:
    with Threads(count) as threads:
        done = threads.each(where, fed(1, 3, 2))
        assert torch.get_num_threads() == 4
    assert [(trainee.parameters, result[:2]) for trainee, result in done] == [
        (size, (10 * size, each)) for size in (3, 2, 1)
    ]
    assert all(name != threading.current_thread().name for *_, name in (r for _, r in done))
    assert torch.get_num_threads() == 4


def test_they_work_at_the_same_time() -> None:
    both = threading.Barrier(2, timeout=20)
    with Threads(2) as threads:
        threads.each(lambda trainee, example: both.wait(), fed(1, 2))


def test_what_fails_in_one_is_raised() -> None:
    def fail(trainee: Any, example: Any) -> None:
        if trainee.parameters == 2:
            raise ValueError("no room")

    with pytest.raises(ValueError, match="no room"), Threads(2) as threads:
        threads.each(fail, fed(1, 2, 3))
    assert torch.get_num_threads() == 4


def test_new_threads_have_what_torch_had_before() -> None:
    with Threads(4) as threads:
        threads.each(where, fed(1, 2, 3, 4))
    found = []
    later = threading.Thread(target=lambda: found.append(torch.get_num_threads()))
    later.start()
    later.join()
    assert found == [4]
