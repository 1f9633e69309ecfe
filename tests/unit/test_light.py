"""Importing and asking for help must stay light: checked in fresh processes."""

import json
import subprocess
import sys

import pytest

HEAVY = ("torch", "ray", "mlflow", "optuna", "boto3", "sklearn", "scipy", "timm", "rich")


@pytest.mark.parametrize(
    "code",
    [
        "import kdzoo",
        "import zoo_registry",
        "import kdzoo.cli.main, click; click.testing",
        "from kdzoo.cli.main import main\ntry:\n    main(['--help'])\nexcept SystemExit:\n    pass",
    ],
    ids=["kdzoo", "zoo_registry", "cli", "help"],
)
def test_nothing_heavy_is_loaded(code):
    code = code.replace("import kdzoo.cli.main, click; click.testing", "import kdzoo.cli.main")
    report = f"\nimport sys, json\nprint(json.dumps([name for name in {HEAVY!r} if name in sys.modules]))"
    done = subprocess.run([sys.executable, "-c", code + report], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout.splitlines()[-1]) == []


def test_public_names_load_on_use():
    code = "import kdzoo\nprint(kdzoo.load.__name__, kdzoo.Detector.__name__, sorted(kdzoo.__all__) == dir(kdzoo))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["load", "Detector", "True"]
