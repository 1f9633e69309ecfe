"""Can the zoo be read and published to, and do its conditional writes work?"""

from __future__ import annotations

import logging

from kdzoo.doctor.finding import Asked, Finding
from kdzoo.settings import Settings
from kdzoo.zoo import open_registry


def check(asked: Asked, settings: Settings) -> list[Finding]:
    """Writes a few bytes under a random key in the ways that publishing will, reads and removes them.

    Raises:
        RegistryError: a right is missing, the store cannot be reached, or it lets two writers win.
    """
    notes: list[str] = []
    warned = _Warnings()
    logger = logging.getLogger("zoo_registry")
    logger.addHandler(warned)
    try:
        registry = open_registry(settings, asked.zoo, warn=notes.append)
        registry.probe(afresh=True)
    finally:
        logger.removeHandler(warned)
    found = [Finding(check="zoo", state="ok", what=f"{registry.uri} can be read and published to")]
    for text in notes + warned.texts:
        found.append(
            Finding(
                check="zoo",
                state="warn",
                what=text,
                hint="publishing needs no right to delete; `kdzoo zoo gc` does" if "left in" in text else "",
            )
        )
    return found


class _Warnings(logging.Handler):
    """Keeps what the registry warns of."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(record.getMessage())
