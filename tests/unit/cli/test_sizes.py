"""Numbers of bytes as people read them."""

import pytest

from kdzoo.cli.sizes import size_text


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (99_900, "99.9 kB"),
        (99_960, "100 kB"),
        (999_600, "1.0 MB"),
        (1_234_000_000, "1.2 GB"),
        (5_000_000_000_000_000, "5000 TB"),
    ],
)
def test_sizes(size, text):
    assert size_text(size) == text
