"""Threads of one process that take students, each one at a time.

One student's update is a chain of small steps, most of them bound by memory or too short to share
out, so two cores on one student gain little; on two students they gain what two cores can.
"""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import TypeVar

import torch

from attnreplace.distill.cuts import Example
from attnreplace.distill.trainee import Trainee

T = TypeVar("T")


class Threads:
    """A context in which torch's threads are shared out among students."""

    def __init__(self, count: int) -> None:
        """Start as many threads.

        Args:
            count: how many; 1 is the thread that calls, with all that torch uses.
        """
        self._torch = torch.get_num_threads()
        self._pool: ThreadPoolExecutor | None = None
        if count > 1:
            each = max(1, self._torch // count)
            # torch counts by thread: what is set in one is true there, and in threads to come.
            self._pool = ThreadPoolExecutor(count, "students", torch.set_num_threads, (each,))

    def __enter__(self) -> "Threads":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
            torch.set_num_threads(self._torch)

    def each(
        self, work: Callable[[Trainee, Example], T], fed: Iterable[tuple[Trainee, Example]]
    ) -> list[tuple[Trainee, T]]:
        """Do some work for every student, and wait for all of it.

        Args:
            work: touches no student but its own.
            fed: every student with its example, as they come.

        Returns:
            Every student with what came of it.
        """
        if self._pool is None:
            return [(trainee, work(trainee, example)) for trainee, example in fed]
        # The largest first: whoever comes last is not waited for long.
        pairs = sorted(fed, key=lambda pair: pair[0].parameters, reverse=True)
        begun = [(trainee, self._pool.submit(work, trainee, example)) for trainee, example in pairs]
        return [(trainee, future.result()) for trainee, future in begun]
