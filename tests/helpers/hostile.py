"""Texts that a stranger may write into a name or a document: markup, terminal sequences, marks that nobody sees."""

import random
import unicodedata

from helpers.command import run

from kdzoo.visible import visible

_PIECES = (
    *("[/red]", "[/]", "[red]", "[bold", "]", "[link=http://x]", "\\[", "[@click=a]", ":bug:", "{0}", "%s", "<b>", "|"),
    *(
        "\x1b[2J",
        "\x1b]0;t\x07",
        "\x1b[31m",
        "\x1b[1A\x1b[2K",
        "\x1bc",
        "\x9b1m",
        "\x9d",
        "\x00",
    ),
    *("\x08", "\x7f", "\x0b"),
    *("\n", "\r", "\r\n", "\t", "\x85", "\u2028", "\u2029", "\u202e", "\u2066", "\u2069", "\u200f", "\u061c"),
    *("\u200b", "\u200d", "\ufeff", "\u2060", "\u3164", "\ufe0f", "\u00ad", "\u00a0", "\u034f", "\U000e0041"),
    *("old", "é", "日本", "🙂", "'", '"', "`", "$(x)", "\\x1b", " ", "e\u0301", "\ufff9", "\U0010ffff"),
)


def hostile(count: int = 1000, *, seed: int = 0) -> list[str]:
    """Different texts of a few pieces each; each piece stands alone in one of them."""
    dice, found = random.Random(seed), dict.fromkeys(_PIECES)
    while len(found) < count:
        found["".join(dice.choices(_PIECES, k=dice.randint(2, 4)))] = None
    return list(found)[:count]


def as_names(texts: list[str]) -> list[str]:
    """Those of the texts that can name a file on any disk with UTF-8, else as near as can be."""
    names = [text.replace("\x00", "\x01").replace("/", "∕") for text in texts]
    return [f"{number} {name}" for number, name in enumerate(names)]


def raw(text: str) -> set[str]:
    """The characters of what was printed that are no text: all but line ends must be printable."""
    kinds = {char: unicodedata.category(char) for char in set(text) - {"\n"}}
    unseen = set("\u034f\u115f\u1160\u3164\uffa0\u2800") | {chr(code) for code in range(0xFE00, 0xFE10)}
    return {char for char, kind in kinds.items() if kind[0] == "C" or kind in ("Zl", "Zp") or char in unseen}


TEXTS = hostile(1000)
NAMES = as_names(TEXTS)
CHUNKS = [" ".join(TEXTS[start : start + 20]) for start in range(0, 1000, 20)]


def shown(capsys, *arguments, status=(0,)):
    """What a command printed, which must be text alone; as JSON, too, where that is asked for."""
    ran = run(capsys, *arguments)
    assert not raw(ran.out + ran.err), f"{arguments}: {sorted(map(ascii, raw(ran.out + ran.err)))}"
    assert "Traceback" not in ran.err and "unforeseen" not in ran.err, ran.err
    assert ran.status in status, (ran.status, ran.err)
    return ran


def squeezed(text):
    return "".join(text.split())


def has(text, *wanted):
    """Whether each text stands in what was printed, whatever was wrapped; gives those that do not."""
    inside = squeezed(text)
    return [one for one in wanted if squeezed(visible(one)) not in inside]
