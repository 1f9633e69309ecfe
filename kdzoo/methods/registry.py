"""The methods by name. Adding one is a folder and a line here; importing this module stays torch-free.

A method that lives in another package is found by that package's entry point in the group ``kdzoo.methods``, whose name
is the method's and whose object is a `MethodEntry`. The names below are kdzoo's own and cannot be taken by others.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from kdzoo.errors import ConfigError, MissingDependencyError, UnknownNameError
from kdzoo.methods.aand.config import AANDConfig
from kdzoo.methods.adps.config import ADPSConfig
from kdzoo.methods.config import MethodConfig
from kdzoo.methods.mrkd.config import MRKDConfig
from kdzoo.methods.nearest.config import NearestConfig
from kdzoo.methods.rd.config import RDConfig

if TYPE_CHECKING:
    from kdzoo.methods.base import Method
    from kdzoo.teachers.backbone import Teacher


@dataclass(frozen=True, kw_only=True, slots=True)
class MethodEntry:
    """A registered method.

    Attributes:
        name: as typed by people and stored in manifests.
        title: one line for people.
        config: its configuration class.
        model: ``module:class``, imported when a model is built.
        space: ``package:file`` of its search space; empty for the one in ``search_spaces`` that bears its name.
        needs: packages that the model imports beside kdzoo's own; its configuration and space do not.
        install: what brings them, as pip takes it.
    """

    name: str
    title: str
    config: type[MethodConfig]
    model: str
    space: str = ""
    needs: tuple[str, ...] = ()
    install: str = ""

    @property
    def missing(self) -> tuple[str, ...]:
        """Those of its packages that are not installed; looked for, not imported."""
        return tuple(name for name in self.needs if find_spec(name) is None)

    def check_installed(self) -> None:
        """Refuses to go on where a model could not be built.

        Raises:
            MissingDependencyError: a package that it needs is not installed.
        """
        if self.missing:
            raise MissingDependencyError(
                f"the method '{self.name}' needs {' and '.join(self.missing)}, which is not installed",
                hint=f"pip install '{self.install or ' '.join(self.missing)}'",
            )

    @property
    def space_file(self) -> Path:
        """The search space that ships with the method."""
        package, _, file = (self.space or f"search_spaces:{self.name}.yaml").partition(":")
        return Path(str(files(package))) / file


BEST, ALL = "best", "all"
"""What stands in a method's place: in the zoo for the best of them, on the command line for each of them."""
_RESERVED = frozenset({BEST, ALL})
ENTRY_POINTS = "kdzoo.methods"
"""Group of the entry points by which other packages add methods."""

METHODS = {
    entry.name: entry
    for entry in (
        MethodEntry(
            name="rd",
            title="Reverse Distillation (CVPR 2022)",
            config=RDConfig,
            model="kdzoo.methods.rd.model:RD",
        ),
        MethodEntry(
            name="mrkd",
            title="Masked Reverse Knowledge Distillation (2023)",
            config=MRKDConfig,
            model="kdzoo.methods.mrkd.model:MRKD",
        ),
        MethodEntry(
            name="aand",
            title="Anomaly Amplification and Normality Distillation (TIP 2026)",
            config=AANDConfig,
            model="kdzoo.methods.aand.model:AAND",
        ),
        MethodEntry(
            name="adps",
            title="Asymmetric Distillation Post-Segmentation (TNNLS 2024)",
            config=ADPSConfig,
            model="kdzoo.methods.adps.model:ADPS",
        ),
        MethodEntry(
            name="nearest",
            title="Nearest neighbours of the teacher's features (baseline, not trained)",
            config=NearestConfig,
            model="kdzoo.methods.nearest.model:Nearest",
        ),
    )
}


def method_names() -> tuple[str, ...]:
    """Names of all methods: kdzoo's own, then those of other packages."""
    others = {point.name for point in entry_points(group=ENTRY_POINTS)}
    return (*METHODS, *sorted(others - set(METHODS) - _RESERVED))


def installed_methods() -> tuple[str, ...]:
    """Names of the methods whose models can be built here."""
    return tuple(name for name in method_names() if not find_method(name).missing)


def find_method(name: str) -> MethodEntry:
    """The registered method of a name.

    Raises:
        UnknownNameError: saying the nearest name.
        MissingDependencyError: the package that has the method cannot be imported.
        ConfigError: two packages have it, or what the package gives is not its entry.
    """
    if name in METHODS:
        return METHODS[name]
    points = () if name in _RESERVED else tuple(entry_points(group=ENTRY_POINTS, name=name))
    if not points:
        raise UnknownNameError("method", name, method_names())
    if len(points) > 1:
        packages = " and ".join(sorted(map(_package, points)))
        raise ConfigError(f"the method '{name}' is in {packages}", hint="uninstall one of them")
    return _load(points[0])


def build_method(name: str, config: MethodConfig, teacher: Teacher) -> Method:
    """Builds a method's modules around a teacher, with fresh student weights.

    Raises:
        MissingDependencyError: a package that it needs is not installed.
    """
    entry = find_method(name)
    entry.check_installed()
    module, _, attribute = entry.model.partition(":")
    built: Method = getattr(import_module(module), attribute)(teacher, config)
    return built


def _load(point: EntryPoint) -> MethodEntry:
    """The entry that another package gives."""
    try:
        entry = point.load()
    except (ImportError, AttributeError) as error:
        raise MissingDependencyError(
            f"the method '{point.name}' of {_package(point)} cannot be loaded: {error}",
            hint="install that package again, or uninstall it",
        ) from error
    if not isinstance(entry, MethodEntry) or entry.name != point.name:
        raise ConfigError(
            f"the entry point '{point.name}' of {_package(point)} is no method's entry of that name",
            hint=f"'{point.value}' must be a kdzoo.methods.registry.MethodEntry(name='{point.name}', ...)",
        )
    return entry


def _package(point: EntryPoint) -> str:
    return f"the package '{point.dist.name}'" if point.dist else f"'{point.value}'"
