"""How train images are changed before they are learned from, as a person writes it. Torch-free.

All of it is off unless asked for, as in the papers: what turns or brightens a product may be what makes it a bad one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Self

from kdzoo.config import Config, knob
from kdzoo.errors import ConfigError, nearest

_FLAGS: Final = ("hflip", "vflip", "rotate")
_RANGES: Final = ("brightness", "contrast")
_EXAMPLE: Final = "for example hflip,rotate,brightness=0.1"


@dataclass(frozen=True, kw_only=True)
class Augmentation(Config):
    """Changes of train images, drawn anew for each image of each batch.

    Written as what is on, such as ``hflip,rotate,brightness=0.1``; nothing of it is an empty text.
    """

    hflip: bool = knob(False, "mirror left and right, half of the time")
    vflip: bool = knob(False, "mirror top and bottom, half of the time")
    rotate: bool = knob(False, "turn by 0, 90, 180 or 270 degrees, each as likely")
    brightness: float = knob(0.0, "pixels are multiplied by 1 plus or minus up to this", low=0.0, high=0.9)
    contrast: float = knob(0.0, "pixels' distance from their image's mean, likewise", low=0.0, high=0.9)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Reads what a person wrote.

        Raises:
            ConfigError: a word that is none of these, one that is there twice, or a number out of range.
        """
        values: dict[str, bool | float] = {}
        for word in (each.strip() for each in text.split(",")) if text.strip() else ():
            name, _, number = word.partition("=")
            if name not in (*_FLAGS, *_RANGES):
                near = nearest(name, (*_FLAGS, *_RANGES))
                raise ConfigError(
                    f"unknown augmentation '{name}'" + (f"; did you mean '{near}'?" if near else ""),
                    hint=f"{', '.join(_FLAGS)}, {', '.join(f'{each}=SHARE' for each in _RANGES)}; {_EXAMPLE}",
                )
            if name in values:
                raise ConfigError(f"the augmentation '{name}' is there twice", hint=_EXAMPLE)
            values[name] = True if name in _FLAGS and not number else _number(word, name, number)
        return cls(**values)  # type: ignore[arg-type]

    def __str__(self) -> str:
        ranges = [f"{name}={getattr(self, name):g}" for name in _RANGES if getattr(self, name)]
        return ",".join([*(name for name in _FLAGS if getattr(self, name)), *ranges])

    @property
    def changes(self) -> bool:
        """Whether anything is on."""
        return self != type(self)()


def _number(word: str, name: str, number: str) -> float:
    try:
        if name in _RANGES:
            return float(number)
    except ValueError:
        pass
    raise ConfigError(f"the augmentation '{word}' is not understood", hint=_EXAMPLE)
