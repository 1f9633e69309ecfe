"""The kinds of synthetic anomalies by name. Adding one is a module and a line here; importing this stays torch-free."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from kdzoo.data.synthesis.config import SynthesisConfig
from kdzoo.errors import UnknownNameError, UsageError

if TYPE_CHECKING:
    from kdzoo.data.synthesis.base import Synthesizer
    from kdzoo.data.synthesis.fill import TextureSource


@dataclass(frozen=True, kw_only=True, slots=True)
class SynthesisEntry:
    """A registered kind of synthetic anomalies.

    Attributes:
        name: as typed by people.
        title: one line for people.
        config: ``module:class`` of its configuration, imported on use.
        factory: ``module:class`` of its synthesizer, called with a configuration.
        textured: whether it fills anomalies with textures, so that the factory takes a `TextureSource` too.
    """

    name: str
    title: str
    config: str
    factory: str
    textured: bool = False


SYNTHESES: Mapping[str, SynthesisEntry] = MappingProxyType(
    {
        entry.name: entry
        for entry in (
            SynthesisEntry(
                name="perlin",
                title="Perlin-shaped patches of texture (DRAEM)",
                config="kdzoo.data.synthesis.perlin:PerlinConfig",
                factory="kdzoo.data.synthesis.perlin:Perlin",
                textured=True,
            ),
            SynthesisEntry(
                name="nsa",
                title="patches of the image pasted elsewhere on the object (NSA)",
                config="kdzoo.data.synthesis.nsa:NsaConfig",
                factory="kdzoo.data.synthesis.nsa:Nsa",
            ),
            SynthesisEntry(
                name="cutpaste",
                title="recoloured rectangles and thin turned scars of the image (CutPaste)",
                config="kdzoo.data.synthesis.cutpaste:CutPasteConfig",
                factory="kdzoo.data.synthesis.cutpaste:CutPaste",
            ),
        )
    }
)
"""The kinds known by name."""


def find_synthesis(name: str) -> SynthesisEntry:
    """The registered kind of a name.

    Raises:
        UnknownNameError: saying the nearest name.
    """
    if name not in SYNTHESES:
        raise UnknownNameError("synthesis", name, SYNTHESES)
    return SYNTHESES[name]


def synthesis_config(name: str) -> type[SynthesisConfig]:
    """The configuration class of a name.

    Raises:
        UnknownNameError: saying the nearest name.
    """
    found: type[SynthesisConfig] = _imported(find_synthesis(name).config)
    return found


def kind_of(config: SynthesisConfig) -> SynthesisEntry:
    """The registered kind that a configuration is for; its class says which.

    Raises:
        UsageError: no synthesizer has such a configuration.
    """
    place = f"{type(config).__module__}:{type(config).__qualname__}"
    entry = next((each for each in SYNTHESES.values() if each.config == place), None)
    if entry is None:
        raise UsageError(f"no synthesizer takes a {type(config).__name__}", hint=f"known: {', '.join(SYNTHESES)}")
    return entry


def textured_kinds() -> tuple[str, ...]:
    """The kinds that fill anomalies with textures."""
    return tuple(each.name for each in SYNTHESES.values() if each.textured)


def build_synthesizer(config: SynthesisConfig, source: TextureSource | None = None) -> Synthesizer:
    """Builds the synthesizer that a configuration is for.

    Args:
        config: what is planted; its class chooses the synthesizer.
        source: where textures come from; default by formula.

    Raises:
        UsageError: no synthesizer has such a configuration, or it uses no textures and a source was given.
    """
    entry = kind_of(config)
    if source is not None and not entry.textured:
        raise UsageError(
            f"'{entry.name}' fills nothing with textures", hint=f"textures are for: {', '.join(textured_kinds())}"
        )
    factory = _imported(entry.factory)
    built: Synthesizer = factory(config, source) if entry.textured else factory(config)
    return built


def _imported(place: str) -> Any:
    module, _, attribute = place.partition(":")
    return getattr(import_module(module), attribute)
