"""Lengths of time as people write and read them."""

import pytest

from kdzoo.cli.ages import age_seconds, age_text
from kdzoo.errors import UsageError


def test_ages():
    assert [age_seconds(text, "--grace") for text in ("0", "90s", "1.5h", " 7D ", "2w")] == [
        0,
        90,
        5400,
        604800,
        1209600,
    ]
    with pytest.raises(UsageError):
        age_seconds("7 days", "--grace")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-1, "0s"), (0, "0s"), (59, "59s"), (60, "1m"), (3599, "59m"), (3600, "1h"), (86399, "23h"), (259200, "3d")],
)
def test_an_age_is_told_in_its_largest_unit(seconds, text):
    assert age_text(seconds) == text
