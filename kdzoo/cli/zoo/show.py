"""`kdzoo zoo show`: everything the zoo says of a release, as a card or as the manifest itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from kdzoo.cli.notes import tell_note
from kdzoo.cli.options import json_option, zoo_option
from kdzoo.cli.say import say, say_bytes
from kdzoo.cli.zoo.which_release import entry_argument, release_options
from kdzoo.cli.zoos import open_zoo

if TYPE_CHECKING:
    from kdzoo.settings import Settings
    from zoo_registry import Manifest, Registry
    from zoo_registry.format.identity import Identity
    from zoo_registry.format.signing import Signature


@click.command()
@entry_argument
@release_options
@zoo_option
@json_option
def show(entry: str, release: int | None, digest: str | None, alias: str, zoo: str | None, as_json: bool) -> None:
    """Show a release as a card: metrics, data and licence, model, decision, how to load it; --json gives its manifest.

    \b
    Examples:
      kdzoo zoo show aand/demo/weave --release 1
      kdzoo zoo show aand/demo/weave --json | jq .document.metrics
    """
    from kdzoo.cli.zoo.card import card
    from kdzoo.settings import Settings
    from zoo_registry.errors import ManifestInvalidError, StoreUnavailableError
    from zoo_registry.zoo.withdrawing import told

    registry = open_zoo(zoo)
    if release is None and digest is None:
        release = registry.read_alias(entry, alias).release  # as it stands, whoever may follow it
    manifest = registry.resolve(entry, release, alias, digest=digest)
    if as_json:
        # The very bytes, so that their digest and a signature of them can be checked elsewhere.
        say_bytes(manifest.signed_bytes.decode())
        return
    aliases: list[str] = []
    signed: list[str] = []
    withdrawn = ""
    try:
        aliases = [name for name, move in registry.aliases(entry).items() if move.release == manifest.release]
        signed = _signed_by(registry, manifest, Settings.from_environment())
        found = registry.withdrawn.of(manifest.entry).get(manifest.release)
        withdrawn = "" if found is None else told(found)
    except (ManifestInvalidError, StoreUnavailableError) as error:
        tell_note(f"aliases, signatures and withdrawals are not shown: {error}")
    say(*card(manifest, aliases=aliases, signed_by=signed, withdrawn=withdrawn))


def _signed_by(registry: Registry, manifest: Manifest, settings: Settings) -> list[str]:
    """A line for each signature: whose it is, and whether that key is trusted."""
    found, here = registry.signatures.of(manifest), registry.identity()
    if settings.require_signature is None or not found:
        return [f"{_whose(one, here)}, not checked; kdzoo zoo verify does" for one in found]
    from zoo_registry.zoo.key_files import read_trusted_keys

    trusted = {key.key_id: key for key in read_trusted_keys(settings.require_signature).keys}
    lines = []
    for one in found:
        key = trusted.get(one.key_id)
        holds = key is not None and key.has_signed(manifest.signed_bytes, one)
        says = "trusted, and holds" if holds else "does not hold" if key else "not one of the trusted keys"
        lines.append(f"{_whose(one, here)}, {says}")
    return lines


def _whose(signature: Signature, here: Identity | None) -> str:
    """Which key's, and in which zoo it counts."""
    if signature.zoo is None:
        return f"key {signature.key_id}, not bound to a zoo"
    if here is not None and signature.zoo == here.id:
        return f"key {signature.key_id}"
    return f"key {signature.key_id}, for another zoo, {signature.zoo}"
