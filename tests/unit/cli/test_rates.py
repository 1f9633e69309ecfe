"""Shares as people write them."""

import click
import pytest

from kdzoo.cli.rates import share


@pytest.mark.parametrize(
    ("text", "rate"), [("0.5%", 0.005), ("0.005", 0.005), (" 1 %", 0.01), ("0", 0.0), ("99%", 0.99)]
)
def test_percentages_and_fractions(text, rate):
    assert share(text) == pytest.approx(rate)


@pytest.mark.parametrize("text", ["", "%", "half", "1", "100%", "-1%", "nan", "inf", "0.5%%"])
def test_what_is_no_share(text):
    with pytest.raises(click.BadParameter):
        share(text)
