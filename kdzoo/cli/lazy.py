"""Groups whose commands load when they run, so that `--help` is quick, and groups with a default command."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

import click


class LazyGroup(click.Group):
    """A group that knows its commands by name and one line of help, and imports each on use.

    Args:
        lazy: command to ``(module, attribute, one line of help)``.
        default: the command that runs when none is named; without one, help is shown.
    """

    def __init__(
        self, *args: Any, lazy: Mapping[str, tuple[str, str, str]], default: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self._lazy, self._default = dict(lazy), default
        self.no_args_is_help = default is None

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Puts the default command's name in front where none is given."""
        asks_help = bool(args) and args[0] in ctx.help_option_names
        if self._default is not None and not asks_help and (not args or args[0].startswith("-")):
            args = [self._default, *args]
        return super().parse_args(ctx, args)

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

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Finds a command, or says the nearest one."""
        name = args[0]
        if name not in self._lazy and not name.startswith("-"):
            from kdzoo.errors import UnknownNameError

            raise UnknownNameError("command", name, self._lazy)
        return super().resolve_command(ctx, args)


class DefaultGroup(click.Group):
    """A group that runs its default command when none is named: `kdzoo zoo` lists.

    Args:
        default: the command's name.
        passes_arguments: whether an unknown first word is the default command's argument (`kdzoo space aand`).
    """

    def __init__(self, *args: Any, default: str, passes_arguments: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._default, self._passes = default, passes_arguments
        self.no_args_is_help = False

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Puts the default command's name in front where none is given."""
        asks_help = bool(args) and args[0] in ctx.help_option_names
        an_argument = self._passes and bool(args) and args[0] not in self.commands
        if not asks_help and (not args or args[0].startswith("-") or an_argument):
            args = [self._default, *args]
        return super().parse_args(ctx, args)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Finds a command, or says the nearest one."""
        if args[0] not in self.commands:
            from kdzoo.errors import UnknownNameError

            raise UnknownNameError(f"{self.name} command", args[0], self.commands)
        return super().resolve_command(ctx, args)
