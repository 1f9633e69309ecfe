"""How long a sweep may take."""

import pytest

from kdzoo.cli.sweep.durations import parse_duration
from kdzoo.errors import UsageError


@pytest.mark.parametrize(("text", "seconds"), [("90", 90), ("90s", 90), ("1.5m", 90), ("8h", 28800), ("2D", 172800)])
def test_durations(text, seconds):
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "0", "-1", "1w", "h", "1h30"])
def test_odd_durations(text):
    with pytest.raises(UsageError):
        parse_duration(text)
