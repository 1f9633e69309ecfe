"""Runs a `kdzoo` command in this process, as the shell would."""

from dataclasses import dataclass

import pytest

from kdzoo.cli.main import main


@dataclass(frozen=True)
class Ran:
    status: int
    out: str
    err: str


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> Ran:
    """Runs ``kdzoo ARGUMENTS``; gives exit status, stdout and stderr."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    said = capsys.readouterr()
    return Ran(int(ended.value.code or 0), said.out, said.err)
