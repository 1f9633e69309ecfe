"""Text from outside, made fit to be shown: what cannot be seen, or steers a terminal, becomes an escape."""

from __future__ import annotations

import re

# Letters and marks that take no room, though Unicode does not count them as controls: fillers, joiners, selectors.
_UNSEEN = re.compile(
    r"[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)


def visible(text: str) -> str:
    r"""A text on one line that shows whatever is in it.

    Controls (C0, C1, ESC, line ends, tabs), marks of writing direction, letters without width, blanks other than the
    plain one, code points without a character and halves of surrogate pairs become escapes such as ``\x1b`` and
    ``\u202e``. All else stays as it is, so that a text may be passed through twice.
    """
    if text.isprintable() and not _UNSEEN.search(text):
        return text
    return "".join(char if char.isprintable() and not _UNSEEN.match(char) else _escaped(char) for char in text)


def _escaped(char: str) -> str:
    return char.encode("unicode_escape").decode()
