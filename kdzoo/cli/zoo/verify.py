"""`kdzoo zoo verify`: whether a trusted key vouches for a release."""

from __future__ import annotations

from pathlib import Path

import click

from kdzoo.cli.options import json_option, zoo_option
from kdzoo.cli.say import say, say_json
from kdzoo.cli.zoo.blob_check import read_blobs
from kdzoo.cli.zoo.which_release import entry_argument, release_options
from kdzoo.cli.zoos import open_zoo
from kdzoo.errors import UsageError


@click.command()
@entry_argument
@release_options
@click.option(
    "--public-key",
    "keys_file",
    type=click.Path(path_type=Path),
    help="One or several public keys; default KDZOO_REQUIRE_SIGNATURE.",
)
@click.option("--deep", is_flag=True, help="Also read the release's files in the zoo and compare their sha256.")
@zoo_option
@json_option
def verify(
    entry: str, release: int | None, alias: str, keys_file: Path | None, deep: bool, zoo: str | None, as_json: bool
) -> None:
    """Check that a trusted key has signed a release; exit status 1 if none has.

    \b
    Examples:
      kdzoo zoo verify aand/demo/weave --public-key release.key.pub
      kdzoo zoo verify aand/demo/weave --release 2 --deep --public-key release.key.pub
    """
    from kdzoo.settings import Settings
    from zoo_registry.zoo.key_files import read_trusted_keys

    path = keys_file or Settings.from_environment().require_signature
    if path is None:
        raise UsageError("no key to check with", hint="give --public-key FILE or set KDZOO_REQUIRE_SIGNATURE")
    trusted, registry = read_trusted_keys(path), open_zoo(zoo)
    manifest = registry.resolve(entry, release, alias)
    key = registry.signatures.require(manifest, trusted)
    if deep:
        read_blobs(manifest, zoo)
    if as_json:
        document = {"entry": str(manifest.entry), "release": manifest.release, "key": key.key_id, "deep": deep}
        say_json(document)
        return
    read = ", and its files are those it names" if deep else ""
    say(f"{manifest.entry} release {manifest.release} is signed by {key.key_id}{read}")
