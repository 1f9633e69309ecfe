"""`kdzoo sweep`: the main job, and the sweeps that there are."""

from __future__ import annotations

import click

from kdzoo.cli.groups import DefaultGroup
from kdzoo.cli.sweep.list import list_sweeps
from kdzoo.cli.sweep.run import run
from kdzoo.cli.sweep.show import show
from kdzoo.cli.sweep.stop import stop


@click.group(cls=DefaultGroup, default="run", takes_words="run", shows_default=True)
def sweep() -> None:
    """Find the best configuration of a method for every category of a data set, and publish it.

    A first word that is none of the commands below is the METHOD to sweep: several, joined by commas, or all.

    \b
    Examples:
      kdzoo sweep aand --dataset demo
      kdzoo sweep rd,aand,mrkd -d demo
      kdzoo sweep all -d ./my-parts --time-budget 8h
      kdzoo sweep aand -d mvtec --categories bottle,cable --trials 32 --time-budget 8h --name night
      kdzoo sweep list
      kdzoo sweep stop night
      kdzoo sweep --resume night
    """


for command in (run, list_sweeps, show, stop):
    sweep.add_command(command)
