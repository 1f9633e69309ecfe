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
    from kdzoo.search.record.group import find_group
    from kdzoo.search.record.overview import sweep_folder
    from kdzoo.settings import Settings

    settings = Settings.from_environment()
    group = find_group(settings, name)
    if group is not None:
        group.ask_to_stop()
        tell(f"{name} was asked to finish, and begins no other method; `kdzoo sweep show {name}` says when it has")
        return
    folder = sweep_folder(settings, name)
    folder.ask_to_stop()
    tell(f"The sweep {name} ({folder.driver_text()}) was asked to finish; `kdzoo sweep show {name}` says when it has")
