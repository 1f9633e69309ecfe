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
    entry: str,
    release: int | None,
    digest: str | None,
    alias: str,
    keys_file: Path | None,
    deep: bool,
    zoo: str | None,
    as_json: bool,
) -> None:
    """Check that a trusted key has signed a release for this zoo; exit status 1 if none has, or it was withdrawn.

    A copy has its own id: KDZOO_SIGNED_FOR names the zoos whose signatures count. Those of older versions name no zoo,
    and count for releases from before the zoo had an id.

    \b
    Examples:
      kdzoo zoo verify aand/demo/weave --public-key release.key.pub
      kdzoo zoo verify aand/demo/weave --release 2 --deep --public-key release.key.pub
    """
    from kdzoo.settings import Settings
    from zoo_registry.zoo.key_files import read_trusted_keys

    settings = Settings.from_environment()
    path = keys_file or settings.require_signature
    if path is None:
        raise UsageError("no key to check with", hint="give --public-key FILE or set KDZOO_REQUIRE_SIGNATURE")
    trusted, registry = read_trusted_keys(path), open_zoo(zoo)
    manifest = registry.resolve(entry, release, alias, digest=digest)
    found = registry.signatures.find(manifest, trusted, signed_for=settings.signed_for)
    registry.withdrawn.check(manifest.entry, manifest.release)
    if deep:
        read_blobs(manifest, zoo)
    if as_json:
        document = {"entry": str(manifest.entry), "release": manifest.release, "key": found.key.key_id, "deep": deep}
        say_json(document | {"zoo": found.zoo, "digest": manifest.digest})
        return
    bound = "not bound to a zoo" if found.zoo is None else f"for zoo {found.zoo}"
    read = ", and its files are those it names" if deep else ""
    say(f"{manifest.entry} release {manifest.release} is signed by {found.key.key_id}, {bound}{read}")
