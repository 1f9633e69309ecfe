"""`kdzoo teacher sign`: a key vouches for a teacher of the zoo."""

from __future__ import annotations

from pathlib import Path

import click

from kdzoo.cli.options import json_option, zoo_option
from kdzoo.cli.passphrase import ask_passphrase
from kdzoo.cli.say import say, say_json, tell
from kdzoo.cli.teacher.opening import open_teacher_zoo
from kdzoo.errors import UsageError


@click.command()
@click.argument("name")
@click.option("--key", "key_file", type=click.Path(path_type=Path), help="Private key; default KDZOO_SIGNING_KEY.")
@zoo_option
@json_option
def sign(name: str, key_file: Path | None, zoo: str | None, as_json: bool) -> None:
    """Sign a teacher of the zoo: its card, which names the sha256 of its weights.

    The weights in the zoo are read first and compared with it. With KDZOO_SIGNING_KEY set, `teacher push` signs by
    itself.

    \b
    Example:
      kdzoo teacher sign plant-resnet --key release.key
    """
    from kdzoo.settings import Settings

    settings = Settings.from_environment()
    path = key_file or settings.signing_key
    if path is None:
        raise UsageError("no key to sign with", hint="give --key FILE or set KDZOO_SIGNING_KEY; keygen makes one")
    target = open_teacher_zoo(settings, zoo)
    card, document = target.checked(name)
    tell(f"teacher {card.name}, a {card.architecture}", f"  weights    sha256 {card.sha256}, {card.size:,} bytes")
    key, is_new = target.sign(document, path, ask=ask_passphrase)
    if as_json:
        say_json({"teacher": name, "key": key, "new": is_new})
        return
    say(f"teacher {name} {'is signed' if is_new else 'was signed before'} by {key}")
