"""The signatures that go along with a release that leaves its zoo."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kdzoo.cli.notes import tell_note

if TYPE_CHECKING:
    from zoo_registry import Manifest, Registry
    from zoo_registry.format.signing import Signature


def signatures_of(registry: Registry, manifest: Manifest) -> list[Signature]:
    """All signatures of a release; none, and a note, where the zoo cannot be asked."""
    from zoo_registry.errors import StoreUnavailableError

    try:
        return registry.signatures.of(manifest)
    except StoreUnavailableError as error:
        tell_note(f"signatures do not go along: {error}")
        return []
