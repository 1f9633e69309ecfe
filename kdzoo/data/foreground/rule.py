"""How the foreground of a category is had: estimated, the whole image, or from a person's masks. Plain values."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self, get_args

from kdzoo.errors import ConfigError, UnknownNameError

ForegroundKind = Literal["auto", "whole", "light", "dark", "masks"]

KINDS: tuple[ForegroundKind, ...] = get_args(ForegroundKind)
"""``auto``: an object on a plain background or else the whole image, as the category's train images say. ``whole``: the
whole image. ``light``, ``dark``: an object on a background that is light or dark, also where the object covers most of
the frame. ``masks``: from a folder of masks."""

_MASKS = "masks:"


@dataclass(frozen=True, kw_only=True, slots=True)
class ForegroundRule:
    """One way to have the foreground, written ``auto``, ``whole``, ``light``, ``dark`` or ``masks:FOLDER``.

    Attributes:
        kind: one of `KINDS`.
        folder: of the masks; None for the other kinds.

    Raises:
        ConfigError: a folder without ``masks``, or ``masks`` without one.
    """

    kind: ForegroundKind
    folder: Path | None = None

    def __post_init__(self) -> None:
        if (self.kind == "masks") != (self.folder is not None):
            raise ConfigError(f"the foreground rule '{self.kind}' with folder {self.folder}", hint=_example())

    @classmethod
    def parse(cls, text: str, *, base: Path | None = None) -> Self:
        """Reads a rule; looks at no file.

        Args:
            text: as a person writes it.
            base: what a relative folder is relative to; None leaves it as it is.

        Raises:
            UnknownNameError: no such rule.
            ConfigError: ``masks:`` names no folder.
        """
        stripped = text.strip()
        if stripped.startswith(_MASKS):
            folder = stripped.removeprefix(_MASKS).strip()
            if not folder or "\0" in folder:
                raise ConfigError(f"the foreground rule {text!r} names no folder", hint=_example())
            try:
                path = Path(folder).expanduser()
            except RuntimeError as error:
                raise ConfigError(f"there is no home folder for '{folder}'", hint=_example()) from error
            return cls(kind="masks", folder=path if base is None else base / path)
        for kind in KINDS:
            if stripped == kind and kind != "masks":
                return cls(kind=kind)
        if stripped == "masks":
            raise ConfigError(f"the foreground rule {text!r} names no folder", hint=_example())
        raise UnknownNameError("foreground rule", text, (*(kind for kind in KINDS if kind != "masks"), "masks:FOLDER"))

    def __str__(self) -> str:
        return self.kind if self.folder is None else f"{_MASKS}{self.folder}"

    @property
    def label(self) -> str:
        """The rule without the folder's place on this machine: what a published document says."""
        return self.kind if self.folder is None else f"{_MASKS}{self.folder.name}"


def _example() -> str:
    return "for example masks:./lid-masks; or one of auto, whole, light, dark"
