"""`kdzoo zoo sign`: a key vouches for a release."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from kdzoo.cli.options import json_option, zoo_option
from kdzoo.cli.say import say, say_json
from kdzoo.cli.zoo.which_release import entry_argument, release_options
from kdzoo.cli.zoos import open_zoo
from kdzoo.errors import UsageError


@click.command()
@entry_argument
@release_options
@click.option("--key", "key_file", type=click.Path(path_type=Path), help="Private key; default KDZOO_SIGNING_KEY.")
@zoo_option
@json_option
def sign(entry: str, release: int | None, alias: str, key_file: Path | None, zoo: str | None, as_json: bool) -> None:
    """Sign a release: its manifest, which names its number and the sha256 of all its files.

    \b
    Examples:
      kdzoo zoo sign aand/demo/weave --key release.key
      kdzoo zoo sign aand/demo/weave --release 2 --key release.key --zoo s3://models/zoo
    """
    from kdzoo.settings import Settings
    from kdzoo.trust import read_signing_key

    path = key_file or Settings.from_environment().signing_key
    if path is None:
        raise UsageError("no key to sign with", hint="give --key FILE or set KDZOO_SIGNING_KEY; keygen makes one")
    registry = open_zoo(zoo)
    key = read_signing_key(path, ask=_passphrase)
    manifest = registry.resolve(entry, release, alias)
    is_new = registry.signatures.add(manifest, key)
    if as_json:
        document = {"entry": str(manifest.entry), "release": manifest.release, "key": key.public.key_id, "new": is_new}
        say_json(document)
        return
    verb = "is signed" if is_new else "was signed before"
    say(f"{manifest.entry} release {manifest.release} {verb} by {key.public.key_id}")


def _passphrase() -> str | None:
    """Asked of a person; None where there is none to ask."""
    if not sys.stdin.isatty():
        return None
    return str(click.prompt("Passphrase of the key", hide_input=True, err=True))
