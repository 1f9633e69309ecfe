"""`kdzoo submit`: kdzoo commands that run on a Ray cluster, as its jobs."""

from __future__ import annotations

import click

from kdzoo.cli.groups import DefaultGroup
from kdzoo.cli.submit.cluster import ADDRESS_OF, BeforeCommand
from kdzoo.cli.submit.list import list_jobs
from kdzoo.cli.submit.logs import logs
from kdzoo.cli.submit.run import run
from kdzoo.cli.submit.show import show
from kdzoo.cli.submit.stop import stop


@click.group(cls=DefaultGroup, takes_words="run", subcommand_metavar="COMMAND [ARGS]...")
@click.option(
    "--address",
    metavar="URL",
    help=f"The address {ADDRESS_OF}; default RAY_API_SERVER_ADDRESS, else RAY_ADDRESS, else this machine's.",
)
@click.option("--follow", "-f", is_flag=True, help="Print what the job prints; exit with its status when it is over.")
@click.pass_context
def submit(ctx: click.Context, address: str | None, follow: bool) -> None:
    """Run a kdzoo command on a Ray cluster's head, as a job there, and look after such jobs.

    A first word that is none of the commands below is the kdzoo command to run, with its own options after it. The
    job's id is printed, and the job goes on when this command ends; Ctrl-C while following leaves it running.

    Nothing is uploaded: kdzoo, data sets and paths are the cluster's, and so are its credentials for the zoo and for
    MLflow. Of this machine's environment KDZOO_ZOO, MLFLOW_TRACKING_URI, KDZOO_WHO, KDZOO_DATA_MIRROR and KDZOO_OFFLINE
    go along, unless they hold a password or name a place on this machine. No secret ever does.

    \b
    Examples:
      kdzoo submit --address http://head:8265 sweep aand --dataset visa --name night
      kdzoo submit --follow doctor --dataset visa
      kdzoo submit logs kdzoo-sweep-1a2b3c4d --follow
      kdzoo submit stop kdzoo-sweep-1a2b3c4d
    """
    ctx.obj = BeforeCommand(address, follow)


for command in (run, list_jobs, show, logs, stop):
    submit.add_command(command)
