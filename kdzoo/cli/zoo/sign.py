"""`kdzoo zoo sign`: a key vouches for a release."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kdzoo.cli.options import json_option, zoo_option
from kdzoo.cli.passphrase import ask_passphrase
from kdzoo.cli.say import say, say_json, tell
from kdzoo.cli.zoo.blob_check import read_blobs
from kdzoo.cli.zoo.which_release import entry_argument, release_options
from kdzoo.cli.zoos import open_zoo
from kdzoo.errors import UsageError

if TYPE_CHECKING:
    from zoo_registry import Manifest


@click.command()
@entry_argument
@release_options
@click.option(
    "--unbound",
    is_flag=True,
    help="Of no zoo, for readers of older versions, which know no other; not counted by this.",
)
@click.option("--key", "key_file", type=click.Path(path_type=Path), help="Private key; default KDZOO_SIGNING_KEY.")
@zoo_option
@json_option
def sign(
    entry: str,
    release: int | None,
    digest: str | None,
    alias: str,
    unbound: bool,
    key_file: Path | None,
    zoo: str | None,
    as_json: bool,
) -> None:
    """Sign a release of this zoo: its manifest, which names its number and the sha256 of all its files.

    The files in the zoo are read first and compared with it; what is signed, and its metrics, stand on stderr.

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
    manifest = registry.resolve(entry, release, alias, digest=digest)
    read_blobs(manifest, zoo)
    tell(*_about(manifest))
    key = read_signing_key(path, ask=ask_passphrase)
    is_new = registry.signatures.add(manifest, key, bound=not unbound)
    if as_json:
        document = {"entry": str(manifest.entry), "release": manifest.release, "key": key.public.key_id, "new": is_new}
        say_json(document)
        return
    verb = "is signed" if is_new else "was signed before"
    say(f"{manifest.entry} release {manifest.release} {verb} by {key.public.key_id}")


def _about(manifest: Manifest) -> list[str]:
    """What a person vouches for, in a few lines."""
    metrics = manifest.document.get("metrics")
    known = metrics if isinstance(metrics, Mapping) else {}
    numbers = [f"{name} {value:.4f}" for name, value in sorted(known.items()) if isinstance(value, float)]
    return [
        f"{manifest.entry} release {manifest.release}, published {manifest.created}",
        f"  manifest   sha256 {hashlib.sha256(manifest.signed_bytes).hexdigest()}",
        *(f"  {role:10} sha256 {ref.sha256}, {ref.size:,} bytes" for role, ref in sorted(manifest.blobs.items())),
        f"  metrics    {', '.join(numbers) or 'none'}",
    ]
