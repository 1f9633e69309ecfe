"""What cannot be seen, or steers a terminal, becomes an escape; all else stays."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kdzoo.visible import visible


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("", ""),
        ("lid 3, 日本 é 🙂 [/red] :bug: \\", "lid 3, 日本 é 🙂 [/red] :bug: \\"),
        ("a\x1b[2J\x9b\x00", "a\\x1b[2J\\x9b\\x00"),
        ("two\nlines\r\tand\u2028more", "two\\nlines\\r\\tand\\u2028more"),
        ("\u202egnp.exe\u2066", "\\u202egnp.exe\\u2066"),
        ("a\u200bb\u3164c\u034f\ufe0f", "a\\u200bb\\u3164c\\u034f\\ufe0f"),
        ("no-break\u00a0blank", "no-break\\xa0blank"),
        ("\udcff\U0010ffff", "\\udcff\\U0010ffff"),
    ],
)
def test_one_line_that_shows_what_is_in_it(text, shown):
    assert visible(text) == shown


@given(st.text())
def test_any_text_is_printable_and_stays_when_passed_twice(text):
    assert visible(text).isprintable()
    assert visible(visible(text)) == visible(text)
