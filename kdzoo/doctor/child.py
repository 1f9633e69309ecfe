"""The process of one check: ``python -m kdzoo.doctor.child NAME FILE``, asked on stdin, answered in the file."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from kdzoo.doctor.finding import Asked, Finding
from kdzoo.errors import KdzooError
from kdzoo.settings import Settings
from kdzoo.storage import write_new
from zoo_registry.errors import RegistryError

_MODULES = {
    "disk": "disk",
    "data set": "dataset",
    "teacher": "teacher",
    "zoo": "zoo",
    "mlflow": "mlflow_server",
    "ray": "cluster",
}

Check = Callable[[Asked, Settings], list[Finding]]


def run_check(name: str, asked: Asked) -> list[Finding]:
    """Runs one check in this process, for as long as it takes.

    Args:
        name: of `kdzoo.doctor.examine.LIMITS`.
        asked: what it is about.

    Returns:
        What it found; an error that kdzoo foresees is a finding, too.
    """
    try:
        settings = Settings.from_environment()
        if asked.ray_address:
            settings = dataclasses.replace(settings, ray_address=asked.ray_address)
        check: Check = import_module(f"kdzoo.doctor.{_MODULES[name]}").check
        return check(asked, settings)
    except (KdzooError, RegistryError) as error:
        return [Finding(check=name, state="fail", what=str(error), hint=error.hint or "")]


def main(name: str, answer: Path) -> None:
    """Answers the request on stdin."""
    asked = Asked(**json.load(sys.stdin))
    found = [dataclasses.asdict(finding) for finding in run_check(name, asked)]
    write_new(answer, json.dumps(found).encode())


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
