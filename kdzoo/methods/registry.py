"""The methods by name. Adding one is a folder and a line here; importing this module stays torch-free."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

from kdzoo.errors import UnknownNameError
from kdzoo.methods.aand.config import AANDConfig
from kdzoo.methods.adps.config import ADPSConfig
from kdzoo.methods.config import MethodConfig
from kdzoo.methods.mrkd.config import MRKDConfig
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
    """

    name: str
    title: str
    config: type[MethodConfig]
    model: str


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
    )
}


def find_method(name: str) -> MethodEntry:
    """The registered method of a name.

    Raises:
        UnknownNameError: saying the nearest name.
    """
    if name not in METHODS:
        raise UnknownNameError("method", name, METHODS)
    return METHODS[name]


def build_method(name: str, config: MethodConfig, teacher: Teacher) -> Method:
    """Builds a method's modules around a teacher, with fresh student weights."""
    module, _, attribute = find_method(name).model.partition(":")
    built: Method = getattr(import_module(module), attribute)(teacher, config)
    return built
