"""Which cluster the commands of `kdzoo submit` talk to: its address, before the command or after it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from kdzoo.jobs import ClusterJobs

ADDRESS_OF = "of the cluster's job server, http://head:8265"

own_address = click.option("--address", metavar="URL", help=f"The address {ADDRESS_OF}.")


@dataclass(frozen=True)
class BeforeCommand:
    """The options that stand before the command."""

    address: str | None
    follow: bool


def open_jobs(address: str | None) -> ClusterJobs:
    """The jobs of the cluster at an address, else of the one that the settings name, else of this machine's."""
    from kdzoo.jobs import DEFAULT_ADDRESS, ClusterJobs
    from kdzoo.settings import Settings

    settings = Settings.from_environment()
    return ClusterJobs(address or settings.ray_jobs or settings.ray_address or DEFAULT_ADDRESS)
