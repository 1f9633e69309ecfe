"""`kdzoo submit`: kdzoo commands that run on a Ray cluster, as its jobs."""

from __future__ import annotations

import dataclasses
import json
import sys
import time
from typing import TYPE_CHECKING

import click

from kdzoo.cli.options import json_option

if TYPE_CHECKING:
    from kdzoo.jobs import ClusterJobs, Job

_STOPPED = 130
_OF = "of the cluster's job server, http://head:8265"
_own_address = click.option("--address", metavar="URL", help=f"The address {_OF}.")


class _SubmitGroup(click.Group):
    """A group whose first word may also be a kdzoo command, which then runs on the cluster."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Takes what is none of the group's commands for one of kdzoo's."""
        if args[0] in self.commands:
            return super().resolve_command(ctx, args)
        return "run", self.commands["run"], args


@click.group(cls=_SubmitGroup, subcommand_metavar="COMMAND [ARGS]...")
@click.option(
    "--address",
    metavar="URL",
    help=f"The address {_OF}; default RAY_API_SERVER_ADDRESS, else RAY_ADDRESS, else this machine's.",
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
    ctx.obj = _Given(address, follow)


@dataclasses.dataclass(frozen=True)
class _Given:
    """The options that stand before the command."""

    address: str | None
    follow: bool


@submit.command(hidden=True, context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
@click.pass_obj
def run(given: _Given, command: tuple[str, ...]) -> int:
    """Start COMMAND on the cluster's head and print the job's id."""
    from kdzoo.cli.main import check_command
    from kdzoo.jobs import split_variables
    from kdzoo.settings import sendable
    from zoo_registry.zoo.person import this_person

    check_command(command[0], without="submit")
    # What the command promotes was promoted by this person, not by the cluster's account.
    sent, kept = split_variables({"KDZOO_WHO": this_person(), **sendable()})
    jobs = _jobs(given.address)
    for name, why in kept.items():
        click.echo(f"{name} stays here: {why}", err=True)
    for name, value in sent.items():
        click.echo(f"{name}={value} goes along", err=True)
    job = jobs.submit(command, sent)
    click.echo(job)
    if given.follow:
        return _follow(jobs, job)
    click.echo(f"It runs on {jobs.address}; `kdzoo submit logs {job} --follow` shows what it prints", err=True)
    return 0


@submit.command("list", short_help="List the cluster's kdzoo jobs, the latest first.")
@_own_address
@json_option
@click.pass_obj
def list_jobs(given: _Given, address: str | None, as_json: bool) -> None:
    """List the kdzoo commands that the cluster runs and ran, the latest first."""
    from kdzoo.cli.tables import make_table, results

    jobs = _jobs(address or given.address)
    found = jobs.all()
    if as_json:
        click.echo(json.dumps([dataclasses.asdict(job) for job in found]))
        return
    if not found:
        click.echo(f"No jobs at {jobs.address}", err=True)
        return
    table = make_table(None, ("job", "state", "took", "command"), numbers=("took",))
    for job in found:
        table.add_row(job.id, job.state, _took(job), job.command)
    results().print(table)


@submit.command()
@_own_address
@json_option
@click.argument("job")
@click.pass_obj
def show(given: _Given, address: str | None, as_json: bool, job: str) -> None:
    """Show how JOB stands."""
    found = _jobs(address or given.address).find(job)
    if as_json:
        click.echo(json.dumps(dataclasses.asdict(found)))
        return
    click.echo(f"{found.id}: {found.state}, {_took(found)}")
    click.echo(f"  {found.command}")
    for name, value in found.variables.items():
        click.echo(f"  {name}={value}")
    if found.status is not None:
        click.echo(f"  exit status {found.status}")
    if found.message:
        click.echo(f"  {found.message}")


@submit.command()
@_own_address
@click.option("--follow", "-f", is_flag=True, help="Go on until the job is over; exit with its status.")
@click.argument("job")
@click.pass_obj
def logs(given: _Given, address: str | None, follow: bool, job: str) -> int:
    """Print what JOB has printed."""
    jobs = _jobs(address or given.address)
    if follow or given.follow:
        return _follow(jobs, job)
    click.echo(jobs.logs(job), nl=False)
    return 0


@submit.command(short_help="Ask JOB to finish, as Ctrl-C would.")
@_own_address
@click.argument("job")
@click.pass_obj
def stop(given: _Given, address: str | None, job: str) -> None:
    """Ask JOB to finish, as Ctrl-C would: a sweep measures and publishes what is finished, and can be resumed."""
    _jobs(address or given.address).stop(job)
    click.echo(f"{job} was asked to finish; `kdzoo submit logs {job} --follow` shows when it has", err=True)


def _jobs(address: str | None) -> ClusterJobs:
    from kdzoo.jobs import DEFAULT_ADDRESS, ClusterJobs
    from kdzoo.settings import Settings

    settings = Settings.from_environment()
    return ClusterJobs(address or settings.ray_jobs or settings.ray_address or DEFAULT_ADDRESS)


def _follow(jobs: ClusterJobs, job: str) -> int:
    """Prints a job's output until it is over; gives its exit status."""
    try:
        ended = jobs.follow(job, _write)
    except KeyboardInterrupt:
        click.echo(f"\n{job} goes on; `kdzoo submit stop {job}` ends it", err=True)
        raise
    click.echo(f"{job}: {ended.state}", err=True)
    if ended.state == "succeeded":
        return 0
    return _STOPPED if ended.state == "stopped" else ended.status or 1


def _write(text: str) -> None:
    click.echo(text, nl=False)
    sys.stdout.flush()


def _took(job: Job) -> str:
    from kdzoo.cli.sweep.list import age_text

    return "not started" if job.started is None else age_text((job.ended or time.time()) - job.started)
