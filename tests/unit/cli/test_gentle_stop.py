"""Ctrl-C that waits for a good place to stop."""

import signal
import time

import pytest

from kdzoo.cli.gentle_stop import GentleStop


@pytest.fixture(autouse=True)
def ctrl_c_is_heard():
    """Also where a shell has started the tests in the background, with Ctrl-C ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_the_first_is_noted_and_comes_at_a_good_place():
    told = []
    with GentleStop(lambda: told.append(1)) as stop:
        stop.here()
        signal.raise_signal(signal.SIGINT)
        assert (stop.is_asked, told) == (True, [1])
        with pytest.raises(KeyboardInterrupt):
            stop.here()


def test_the_second_comes_at_once_and_the_handler_before_is_put_back():
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt), GentleStop(lambda: None):
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


def test_it_comes_by_itself_after_some_seconds():
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt), GentleStop(lambda: None, seconds=0.2):
        signal.raise_signal(signal.SIGINT)
        while time.monotonic() - began < 20:
            time.sleep(0.01)
    assert time.monotonic() - began < 10


def test_an_ignored_one_stays_ignored():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with GentleStop(lambda: None) as stop:
            signal.raise_signal(signal.SIGINT)
            assert not stop.is_asked
    finally:
        signal.signal(signal.SIGINT, before)
