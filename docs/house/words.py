"""Words on a picture: how wide they are in faces that nobody can ask here, and where a line must end."""

from __future__ import annotations

SANS = "-apple-system, 'Segoe UI', 'Helvetica Neue', Arial, 'Liberation Sans', sans-serif"
MONO = "ui-monospace, SFMono-Regular, Menlo, Consolas, 'Liberation Mono', monospace"

_SANS_WIDTHS = {
    letter: width
    for width, letters in {
        0.27: "ijlI'",
        0.33: " ,.:;/|f",
        0.39: "rt()[]-!",
        0.52: "scz_",
        0.75: "ABCDEGHKNOPQRSTUVXYZ&w",
        0.94: "mMW@%",
    }.items()
    for letter in letters
}
_OTHER_SANS, _EVERY_MONO = 0.60, 0.61


def sans_width(text: str, size: float) -> float:
    """How wide ``text`` is in the wide ones among the faces of `SANS`, in pixels."""
    return size * sum(_SANS_WIDTHS.get(letter, _OTHER_SANS) for letter in text)


def mono_width(text: str, size: float) -> float:
    """How wide ``text`` is in any of the faces of `MONO`, in pixels."""
    return size * _EVERY_MONO * len(text)


def lines_of(text: str, size: float, width: float) -> list[str]:
    """``text`` broken between words into lines that `sans_width` says are no wider than ``width`` pixels."""
    lines: list[str] = []
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and sans_width(longer, size) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines
