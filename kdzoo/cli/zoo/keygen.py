"""`kdzoo zoo keygen`: a key pair to sign releases with."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from kdzoo.cli.options import json_option
from kdzoo.cli.say import say, say_json
from kdzoo.errors import UsageError


@click.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--encrypt", is_flag=True, help="Encrypt the private key: asks, or takes KDZOO_SIGNING_PASSPHRASE.")
@json_option
def keygen(file: Path, encrypt: bool, as_json: bool) -> None:
    """Make a key pair: FILE signs and stays secret, FILE.pub checks and may be given to everybody.

    \b
    Examples:
      kdzoo zoo keygen release.key
      kdzoo zoo keygen release.key --encrypt
    """
    from zoo_registry.format.signing import SigningKey
    from zoo_registry.zoo.key_files import write_key_pair

    key = SigningKey.generate()
    public = write_key_pair(key, file, passphrase=_new_passphrase() if encrypt else None)
    if as_json:
        say_json({"private": str(file), "public": str(public), "key": key.public.key_id})
        return
    say(f"private key {file}, for its owner alone")
    say(f"public key  {public}")
    say(f"key id      {key.public.key_id}")


def _new_passphrase() -> str:
    from kdzoo.settings import signing_passphrase

    found = signing_passphrase()
    if found is None and sys.stdin.isatty():
        found = str(click.prompt("New passphrase", hide_input=True, confirmation_prompt=True, err=True))
    if not found:
        raise UsageError("there is no passphrase to encrypt with", hint="set KDZOO_SIGNING_PASSPHRASE")
    return found
