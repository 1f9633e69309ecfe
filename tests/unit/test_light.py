"""Importing and asking for help must stay light: checked in fresh processes."""

import json
import subprocess
import sys

import pytest
from helpers.layouts import make_dataset
from helpers.processes import environ_of_python

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


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["train", "aand", "-d", "PARTS", "-c", "botle"], "did you mean 'bottle'"),
        (["train", "aandd", "-d", "PARTS"], "did you mean 'aand'"),
        (["train", "aand", "-d", "PARTS", "--set", "widht=1"], "widht"),
        (["sweep", "aandd", "-d", "PARTS"], "did you mean 'aand'"),
        (["sweep", "aand", "-d", "PARTS", "--categories", "botle"], "did you mean 'bottle'"),
        (["predict", "rd", "parts/bottle", "nowhere.png"], "nowhere.png"),
        (["sweep", "list"], "No sweeps"),
        (["sweep", "--help"], "--trials"),
        (["teacher", "list"], "kdzoo-tiny"),
    ],
    ids=lambda words: " ".join(words) if isinstance(words, list) else "",
)
def test_mistyped_names_and_lists_need_none_of_the_heavy_packages(tmp_path, words, said):
    make_dataset(tmp_path / "parts", ("bottle", "cable"))
    given = [str(tmp_path / "parts") if word == "PARTS" else word for word in words]
    code = f"""
import sys
from kdzoo.cli.main import main
try:
    main({given!r})
except SystemExit:
    pass
print([name for name in ("torch", "ray", "mlflow", "optuna", "boto3", "timm") if name in sys.modules])
"""
    environ = environ_of_python(KDZOO_HOME=str(tmp_path / "home"), HF_HOME=str(tmp_path / "hub"))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environ)
    assert said in done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == "[]"
