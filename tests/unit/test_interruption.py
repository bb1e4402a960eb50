"""Signals that wait until the work can be kept."""

import os
import signal
import threading

import pytest

from attnreplace.interruption import SIGNALS, held_back


@pytest.fixture(autouse=True)
def handlers():
    """Handlers are afterwards as they were."""
    before = [signal.getsignal(number) for number in SIGNALS]
    yield
    assert [signal.getsignal(number) for number in SIGNALS] == before


def send(number):
    os.kill(os.getpid(), number)


@pytest.mark.parametrize(
    ("number", "end", "code"),
    [(signal.SIGINT, KeyboardInterrupt, None), (signal.SIGTERM, SystemExit, 143)],
)
def test_the_first_waits_until_what_was_done_is_kept(notes, number, end, code):
    kept = []
    with pytest.raises(end) as ended, held_back(notes) as asked:
        asked.heed(lambda: kept.append("before"))
        send(number)
        kept.append("the step's rest")
        asked.heed(lambda: kept.append("kept"))
    assert kept == ["the step's rest", "kept"]
    assert getattr(ended.value, "code", None) == code
    assert ["once more ends at once" in said for said in notes.said] == [True]


def test_the_second_acts_at_once(notes):
    with pytest.raises(KeyboardInterrupt), held_back(notes):
        send(signal.SIGINT)
        send(signal.SIGINT)
        pytest.fail("it was to end here")


def test_nothing_is_held_back_where_others_would_wait(notes):
    with pytest.raises(KeyboardInterrupt), held_back(notes, alone=False):
        send(signal.SIGINT)
        pytest.fail("it was to end here")


def test_another_thread_holds_nothing_back(notes):
    inside = []

    def work():
        with held_back(notes):
            inside.extend(signal.getsignal(number) for number in SIGNALS)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert inside == [signal.getsignal(number) for number in SIGNALS]
