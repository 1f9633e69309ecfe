"""`kdzoo zoo`: what is published, and which release is served."""

from __future__ import annotations

import click

from kdzoo.cli.groups import LazyGroup

_COMMANDS = {
    "list": ("kdzoo.cli.zoo.list", "list_entries", "List the entries with their champions."),
    "show": ("kdzoo.cli.zoo.show", "show", "Show everything the zoo says of a release."),
    "pull": ("kdzoo.cli.zoo.pull", "pull", "Bring a release into the cache, and into a folder."),
    "pack": ("kdzoo.cli.zoo.pack", "pack", "Make a release or a detector's folder a single file."),
    "unpack": ("kdzoo.cli.zoo.unpack", "unpack", "Make a folder of a packed detector."),
    "promote": ("kdzoo.cli.zoo.promote", "promote", "Make a release champion, or move another alias to it."),
    "rollback": ("kdzoo.cli.zoo.rollback", "rollback", "Point an alias at the release before."),
    "alias": ("kdzoo.cli.zoo.alias", "alias", "List the aliases of an entry; show, set or delete one."),
    "yank": ("kdzoo.cli.zoo.yank", "yank", "Withdraw a release, so that nobody loads it."),
    "history": ("kdzoo.cli.zoo.history", "history", "Show every move of an entry's aliases: who, when and why."),
    "copy": ("kdzoo.cli.zoo.copy", "copy", "Copy releases from one zoo to another."),
    "keygen": ("kdzoo.cli.zoo.keygen", "keygen", "Make a key pair for signing."),
    "sign": ("kdzoo.cli.zoo.sign", "sign", "Sign a release."),
    "verify": ("kdzoo.cli.zoo.verify", "verify", "Check that a trusted key has signed a release."),
    "fsck": ("kdzoo.cli.zoo.fsck", "fsck", "Check that all files are there and sound."),
    "gc": ("kdzoo.cli.zoo.gc", "gc", "Remove blobs that no release refers to."),
}


@click.group(cls=LazyGroup, lazy=_COMMANDS, default="list")
def zoo() -> None:
    """List, show, pull and promote published detectors.

    \b
    Examples:
      kdzoo zoo
      kdzoo zoo show aand/demo/weave
      kdzoo zoo pull aand/demo/weave --out weave
      kdzoo zoo rollback aand/demo/weave --why "misses scratches"
    """
