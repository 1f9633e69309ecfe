"""`kdzoo zoo keygen`, `sign` and `verify`: who vouches for a release."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kdzoo.cli.options import json_option, zoo_option
from kdzoo.cli.zoo.opening import entry_argument, open_zoo, release_options
from kdzoo.cli.zoo.upkeep import StepBars, open_store_of
from kdzoo.errors import UsageError

if TYPE_CHECKING:
    from zoo_registry import Manifest


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
        click.echo(json.dumps({"private": str(file), "public": str(public), "key": key.public.key_id}))
        return
    click.echo(f"private key {file}, for its owner alone")
    click.echo(f"public key  {public}")
    click.echo(f"key id      {key.public.key_id}")


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
        click.echo(json.dumps(document))
        return
    verb = "is signed" if is_new else "was signed before"
    click.echo(f"{manifest.entry} release {manifest.release} {verb} by {key.public.key_id}")


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
        _read_blobs(manifest, zoo)
    if as_json:
        document = {"entry": str(manifest.entry), "release": manifest.release, "key": key.key_id, "deep": deep}
        click.echo(json.dumps(document))
        return
    read = ", and its files are those it names" if deep else ""
    click.echo(f"{manifest.entry} release {manifest.release} is signed by {key.key_id}{read}")


def _read_blobs(manifest: Manifest, zoo: str | None) -> None:
    """Compares the bytes of a release's files in the zoo with their digests."""
    from zoo_registry.upkeep.copying import check_blob

    store, total, done = open_store_of(zoo), sum(ref.size for ref in manifest.blobs.values()), 0
    with StepBars() as bars:

        def count(size: int) -> None:
            nonlocal done
            done += size
            bars("Reading files", done, total)

        for _, ref in sorted(manifest.blobs.items()):
            check_blob(store, ref, progress=count)


def _passphrase() -> str | None:
    """Asked of a person; None where there is none to ask."""
    if not sys.stdin.isatty():
        return None
    return str(click.prompt("Passphrase of the key", hide_input=True, err=True))


def _new_passphrase() -> str:
    from kdzoo.settings import signing_passphrase

    found = signing_passphrase()
    if found is None and sys.stdin.isatty():
        found = str(click.prompt("New passphrase", hide_input=True, confirmation_prompt=True, err=True))
    if not found:
        raise UsageError("there is no passphrase to encrypt with", hint="set KDZOO_SIGNING_PASSPHRASE")
    return found
