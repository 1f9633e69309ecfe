"""`kdzoo cache`: what the cache holds, and how to empty it."""

from __future__ import annotations

import click

from kdzoo.cli.cache.clear import clear
from kdzoo.cli.cache.list import list_items
from kdzoo.cli.cache.verify import verify
from kdzoo.cli.groups import DefaultGroup


@click.group(cls=DefaultGroup, default="list", called="cache command")
def cache() -> None:
    """See what the cache holds (KDZOO_CACHE), and empty it.

    Decoded images, and features that trials share, are kept until the cache reaches KDZOO_CACHE_LIMIT (such as 50GB;
    by default half of what it has and the disk has free; 0 keeps no features); then what was used longest ago goes,
    never what a process uses.

    \b
    Examples:
      kdzoo cache
      kdzoo cache clear --older-than 7d
      kdzoo cache clear --dataset demo --dry-run
      kdzoo cache clear --kind features --yes
      kdzoo cache verify
    """


for command in (list_items, clear, verify):
    cache.add_command(command)
