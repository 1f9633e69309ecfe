"""How a person names a teacher. Torch-free, so that a wrong name is found before anything heavy loads.

- ``wide_resnet50_2``: a timm backbone with its published ImageNet weights.
- ``wide_resnet50_2@weights.safetensors``: the same backbone with weights from a file (.safetensors, .pth, .pt).
- ``random-resnet18``: the backbone with seeded random weights, for demos and tests.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from kdzoo.errors import UsageError

RANDOM_PREFIX = "random-"
WEIGHT_SUFFIXES = (".safetensors", ".pth", ".pt")


@dataclass(frozen=True, kw_only=True, slots=True)
class TeacherName:
    """A parsed teacher name.

    Attributes:
        architecture: timm's name of the backbone.
        source: ``hub`` (published weights), ``file`` or ``random``.
        file: where the weights lie when the source is ``file``.
    """

    architecture: str
    source: str
    file: Path | None = None

    def __str__(self) -> str:
        if self.source == "random":
            return RANDOM_PREFIX + self.architecture
        return f"{self.architecture}@{self.file}" if self.file else self.architecture

    @property
    def label(self) -> str:
        """The name as shown to people and stored in manifests: a file without its folder."""
        return f"{self.architecture}@{self.file.name}" if self.file else str(self)


def parse_teacher(text: str) -> TeacherName:
    """Parses a teacher name.

    Raises:
        UsageError: empty, a file with an unknown suffix, or a file that is not there.
    """
    text = text.strip()
    architecture, at, file = text.partition("@")
    drawn = architecture.startswith(RANDOM_PREFIX)
    if not architecture.removeprefix(RANDOM_PREFIX):
        raise UsageError(
            f"'{text}' names no teacher", hint="for example: wide_resnet50_2, resnet18@weights.safetensors"
        )
    if drawn and at:
        raise UsageError(
            f"teacher '{text}' asks for random weights and for a file",
            hint=f"write {architecture}, or {architecture.removeprefix(RANDOM_PREFIX)}@{file}",
        )
    if drawn:
        return TeacherName(architecture=architecture.removeprefix(RANDOM_PREFIX), source="random")
    if not at:
        if text.endswith(WEIGHT_SUFFIXES):
            raise UsageError(
                f"teacher '{text}' names a file but no backbone", hint=f"write the backbone first: resnet18@{text}"
            )
        return TeacherName(architecture=architecture, source="hub")
    if Path(file).suffix not in WEIGHT_SUFFIXES:
        raise UsageError(
            f"teacher weights '{file}' have an unknown suffix", hint=f"one of {', '.join(WEIGHT_SUFFIXES)}"
        )
    try:
        path = Path(file).expanduser().absolute()
        there = path.is_file()
    except (OSError, RuntimeError) as error:
        raise UsageError(f"cannot look for teacher weights '{file}': {error}") from error
    if not there:
        raise UsageError(f"there is no teacher weight file '{path}'")
    return TeacherName(architecture=architecture, source="file", file=path)
