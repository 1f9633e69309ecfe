"""Terminals that can show little: no command ends for want of a character."""

import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

BARE = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    """A data set whose folder and category have names that ASCII has no letters for."""
    root = tmp_path_factory.mktemp("sets") / "größe 測定"
    for part in ("train/good", "test/good"):
        folder = root / "löcher" / part
        folder.mkdir(parents=True)
        for number in range(1, 3):
            pixels = np.random.default_rng([number, len(part)]).integers(0, 255, (32, 32, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / f"{number}.png")
    return root


def run(*arguments, **environment):
    return subprocess.run(
        [sys.executable, "-m", "kdzoo", *map(str, arguments)],
        env={**{k: v for k, v in os.environ.items() if not k.startswith(("LC_", "LANG"))}, **environment},
        capture_output=True,
        timeout=240,
        check=False,
    )


@pytest.mark.parametrize(
    "environment",
    [
        {"PYTHONIOENCODING": "ascii"},
        {"PYTHONIOENCODING": "latin-1:strict"},
        BARE,
    ],
    ids=["ascii", "latin-1", "nothing but ASCII, names of files too"],
)
def test_names_are_shown_as_far_as_the_terminal_can(parts, environment):
    done = run("data", "verify", parts, **environment)
    assert done.returncode == 0, done.stderr
    assert b"locher" in done.stdout and b"Traceback" not in done.stderr
    missing = run("data", "verify", parts / "夢", **environment)
    assert missing.returncode == 1
    assert b"there is no folder" in missing.stderr and b"bug in kdzoo" not in missing.stderr


def test_names_of_files_are_the_same_in_every_locale(parts):
    plain, bare = (run("data", "verify", parts, "--json", **each) for each in ({"PYTHONUTF8": "1"}, BARE))
    assert bare.returncode == 0, bare.stderr
    assert bare.stdout == plain.stdout
