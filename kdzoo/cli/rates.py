"""Shares on the command line: `0.5%` or `0.005`."""

from __future__ import annotations

import click


def share(text: str) -> float:
    """A share below 1, given as a percentage or as a fraction; for the ``type`` of an option.

    Raises:
        click.BadParameter: it is none.
    """
    try:
        rate = float(text.strip().removesuffix("%")) / (100 if text.strip().endswith("%") else 1)
    except ValueError as error:
        raise click.BadParameter(f"{text!r} is no share; such as 0.5% or 0.005") from error
    if not 0 <= rate < 1:
        raise click.BadParameter(f"{text} is out of range: from 0 up to, but not including, 100%; such as 0.5%")
    return rate
