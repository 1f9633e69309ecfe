"""`kdzoo submit COMMAND`: a kdzoo command starts on the cluster, as a job there."""

from __future__ import annotations

import click

from kdzoo.cli.say import say, tell
from kdzoo.cli.submit.cluster import BeforeCommand, open_jobs
from kdzoo.cli.submit.following import follow_job


@click.command(hidden=True, context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
@click.pass_context
def run(context: click.Context, command: tuple[str, ...]) -> int:
    """Start COMMAND on the cluster's head and print the job's id."""
    from kdzoo.jobs import split_variables
    from kdzoo.settings import sendable
    from zoo_registry.zoo.person import this_person

    _check(command[0], context.find_root())
    given: BeforeCommand = context.obj
    # What the command promotes was promoted by this person, not by the cluster's account.
    sent, kept = split_variables({"KDZOO_WHO": this_person(), **sendable()})
    jobs = open_jobs(given.address)
    for name, why in kept.items():
        tell(f"{name} stays here: {why}")
    for name, value in sent.items():
        tell(f"{name}={value} goes along")
    job = jobs.submit(command, sent)
    say(job)
    if given.follow:
        return follow_job(jobs, job)
    tell(f"It runs on {jobs.address}; `kdzoo submit logs {job} --follow` shows what it prints")
    return 0


def _check(name: str, root: click.Context) -> None:
    """Checks, before anything is sent, that kdzoo has such a command and that it is not `submit` itself.

    Raises:
        UnknownNameError: there is none.
    """
    known = [each for each in root.command.list_commands(root) if each != "submit"]  # type: ignore[attr-defined]
    if name not in known:
        from kdzoo.errors import UnknownNameError

        raise UnknownNameError("command", name, known)
