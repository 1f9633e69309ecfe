"""Groups of commands: one may run where none is named, and all may load when they run, so that `--help` is quick."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

import click


class DefaultGroup(click.Group):
    """A group that knows what to run where no command of its own is named.

    Args:
        default: the command that runs when nothing is named: `kdzoo zoo` lists; without one, help is shown.
        takes_words: the command that an unknown first word is an argument of: `kdzoo space aand`; without one, the word
            is an error that says the nearest command.
        called: what the commands are called in that error.
        shows_default: the options of the default command stand in the group's own help.
    """

    def __init__(
        self,
        *args: Any,
        default: str | None = None,
        takes_words: str | None = None,
        called: str = "command",
        shows_default: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self._shows_default = shows_default
        self._default, self._takes_words, self._called = default, takes_words, called
        self.no_args_is_help = default is None

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Lists the options of the default command, where they are shown, and the commands."""
        command = self.get_command(ctx, self._default) if self._shows_default and self._default is not None else None
        if command is not None:
            records = [option.get_help_record(ctx) for option in command.params if isinstance(option, click.Option)]
            with formatter.section(f"Options of {self._default}, which may be left out"):
                formatter.write_dl([record for record in records if record is not None])
        super().format_options(ctx, formatter)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Puts the default command's name in front where none is given."""
        asks_help = bool(args) and args[0] in ctx.help_option_names
        if self._default is not None and not asks_help and (not args or args[0].startswith("-")):
            args = [self._default, *args]
        return super().parse_args(ctx, args)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Finds a command, or the one that takes the word, or says the nearest one."""
        word, names = args[0], self.list_commands(ctx)
        if word not in names and self._takes_words is not None:
            return self._takes_words, self.get_command(ctx, self._takes_words), args
        if word not in names and not word.startswith("-"):
            from kdzoo.errors import UnknownNameError

            raise UnknownNameError(self._called, word, names)
        return super().resolve_command(ctx, args)


class LazyGroup(DefaultGroup):
    """A group that knows its commands by name and one line of help, and imports each on use.

    Args:
        lazy: command to ``(module, attribute, one line of help)``.
    """

    def __init__(self, *args: Any, lazy: Mapping[str, tuple[str, str, str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._lazy = dict(lazy)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names in the order in which they were given."""
        return list(self._lazy)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Imports a command."""
        if cmd_name not in self._lazy:
            return None
        module, attribute, _ = self._lazy[cmd_name]
        command: click.Command = getattr(import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Lists the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, _, text) in self._lazy.items()])
