"""`kdzoo sweep stop`: asks a running sweep to finish."""

from __future__ import annotations

import click

from kdzoo.cli.say import tell


@click.command(short_help="Ask a running sweep to finish.")
@click.argument("name")
def stop(name: str) -> None:
    """Ask the running sweep NAME to finish, from any machine that sees its folder.

    Training ends within seconds; what is finished by then is measured and published, and the sweep can be resumed.

    \b
    Example:
      kdzoo sweep stop night
    """
    from kdzoo.search.record.overview import sweep_folder
    from kdzoo.settings import Settings

    folder = sweep_folder(Settings.from_environment(), name)
    folder.ask_to_stop()
    tell(f"The sweep {name} ({folder.driver_text()}) was asked to finish; `kdzoo sweep show {name}` says when it has")
