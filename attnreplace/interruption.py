"""Ctrl-C and the signal that ends a batch job, held back until what was done can be kept."""

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from attnreplace.progress import Progress

SIGNALS = signal.SIGINT, signal.SIGTERM


class Interruption:
    """Nobody wants an end yet, or somebody does, by the signal of this number."""

    number: int | None = None
    told: threading.Thread | None = None
    """Says so."""

    def heed(self, keep: Callable[[], None]) -> None:
        """Keep what was done and end, where somebody wants an end.

        Raises:
            KeyboardInterrupt: at Ctrl-C.
            SystemExit: at SIGTERM, with a shell's code for it.
        """
        if self.number is None:
            return
        if self.told is not None:
            self.told.join()
        keep()
        if self.number == signal.SIGINT:
            raise KeyboardInterrupt
        sys.exit(128 + self.number)


@contextmanager
def held_back(progress: Progress, alone: bool = True) -> Iterator[Interruption]:
    """Hold the first signal back until it is heeded; a second one acts at once.

    Nothing is held back beside the main thread, where signals arrive, nor where this process is
    not `alone`: the others would wait for it at another step.
    """
    asked = Interruption()
    if not alone or threading.current_thread() is not threading.main_thread():
        yield asked
        return
    before = {number: signal.getsignal(number) for number in SIGNALS}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def note(number: int, frame: FrameType | None) -> None:
        restore()
        asked.number = number
        said = "ending after this step, to keep what was done; once more ends at once"
        # By a thread of its own: this one may be in the middle of a line.
        asked.told = threading.Thread(target=progress.note, args=(said,))
        asked.told.start()

    for number in SIGNALS:
        signal.signal(number, note)
    try:
        yield asked
    finally:
        restore()
