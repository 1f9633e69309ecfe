"""Ctrl-C and SIGTERM, sent to this very process."""

import signal
import threading

import pytest

from kdzoo.search.workers.signals import interrupt_afterwards, terminated_as_interrupted


@pytest.fixture(autouse=True)
def ctrl_c_as_in_a_terminal():
    """A shell that starts the tests in the background has Ctrl-C ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def handlers():
    return signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)


def test_an_interrupt_waits_for_the_end_of_the_block():
    done, before = [], handlers()
    with pytest.raises(KeyboardInterrupt), interrupt_afterwards():
        signal.raise_signal(signal.SIGINT)
        done.append("the rest of the block")
    assert done == ["the rest of the block"] and handlers() == before


def test_a_second_interrupt_ends_the_block_at_once():
    done, before = [], handlers()
    with pytest.raises(KeyboardInterrupt), interrupt_afterwards():
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        done.append("the rest of the block")
    assert done == [] and handlers() == before


def test_an_error_in_the_block_counts_more_than_an_interrupt():
    with pytest.raises(ValueError, match="Ray"), interrupt_afterwards():
        signal.raise_signal(signal.SIGINT)
        raise ValueError("Ray did not start")


def test_termination_is_whatever_an_interrupt_is_at_that_moment():
    before, asked = handlers(), []
    with terminated_as_interrupted():
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)
        # Ray Tune puts a handler of its own in place for as long as it trains.
        tune = signal.signal(signal.SIGINT, lambda number, frame: asked.append(number))
        signal.raise_signal(signal.SIGTERM)
        signal.signal(signal.SIGINT, tune)
    assert asked == [signal.SIGINT] and handlers() == before


def test_termination_ends_also_what_ignores_interrupts():
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with terminated_as_interrupted():
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)


def test_a_sweep_in_another_thread_leaves_the_handlers_alone():
    seen = []

    def sweep():
        with interrupt_afterwards(), terminated_as_interrupted():
            seen.append(handlers())

    thread = threading.Thread(target=sweep)
    before = handlers()
    thread.start()
    thread.join()
    assert seen == [before]
