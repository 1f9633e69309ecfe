"""What the distribution `kdzoo-infer` asks for is enough to load, judge and measure; what is missing is named."""

import json
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
from helpers import infer_alone
from helpers.processes import environ_of_python

from kdzoo import distributions
from kdzoo.errors import ConfigError
from zoo_registry import open_store
from zoo_registry.errors import StoreUnavailableError

ROOT = Path(__file__).resolve().parents[2]


def project(folder):
    return tomllib.loads((folder / "pyproject.toml").read_text())


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    command = [sys.executable, "-m", infer_alone.__name__, tmp_path_factory.mktemp("line")]
    done = subprocess.run(command, capture_output=True, text=True, env=environ_of_python(), timeout=250)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_a_detector_is_loaded_and_judges_from_a_zoo_in_a_folder(found):
    assert found["loaded"] == []
    assert found["promoted"]
    assert found["score"] == pytest.approx(found["carried"]) and found["score"] > 0


@pytest.mark.parametrize("name", ["predict", "evaluate", "show", "list", "pull"])
def test_commands_of_the_line_work(found, name):
    status, out, err = found[name]
    assert status == 0, err
    assert out


def test_measured_numbers_are_there(found):
    assert json.loads(found["evaluate"][1])["metrics"]["test_image_auroc"] >= 0


@pytest.mark.parametrize(
    ("name", "module"),
    [
        ("sweep", "'ray'"),
        ("leaderboard", "'mlflow'"),
        ("s3", "'boto"),
    ],
)
def test_what_is_missing_is_named_with_what_brings_it(found, name, module):
    status, out, err = found[name]
    assert (status, out) == (1, "")
    assert module in err and "which is not installed" in err and "pip install" in err
    assert "Traceback" not in err


def test_the_small_distribution_asks_for_a_part_of_what_kdzoo_does():
    whole, small = project(ROOT)["project"], project(ROOT / "packaging" / "infer")["project"]
    assert set(small["dependencies"]) < set(whole["dependencies"])
    asked = {line.partition(">")[0].partition("[")[0] for line in small["dependencies"]}
    assert not asked & {"ray", "mlflow", "optuna", "boto3", "sqlalchemy"}
    assert small["optional-dependencies"]["s3"] == [each for each in whole["dependencies"] if "boto3" in each]
    assert small["optional-dependencies"]["sign"] == whole["optional-dependencies"]["sign"]
    for key in ("requires-python", "license", "scripts"):
        assert small[key] == whole[key]


def test_the_small_distribution_holds_the_same_packages_but_for_other_methods():
    hatch = project(ROOT / "packaging" / "infer")["tool"]["hatch"]
    taken = hatch["build"]["targets"]["wheel"]["force-include"]
    packages = set(project(ROOT)["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"])
    assert {target for target in taken.values() if "/" not in target} == packages - {"kdzoo_anomalib"}
    for source in (*taken, hatch["version"]["path"]):
        assert (ROOT / "packaging" / "infer" / source).exists()


def installed(monkeypatch, *names):
    def look(name):
        if name in names:
            return object()
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(distributions, "distribution", look)


def test_both_at_once_are_refused(monkeypatch, capsys):
    from helpers.command import run

    installed(monkeypatch, "kdzoo", "kdzoo-infer")
    with pytest.raises(ConfigError, match="both installed"):
        distributions.check_one()
    ran = run(capsys, "methods")
    assert ran.status == 2
    assert "pip uninstall -y kdzoo-infer kdzoo && pip install kdzoo" in ran.err
    installed(monkeypatch, "kdzoo-infer")
    distributions.check_one()


def test_what_brings_a_module_depends_on_what_is_installed(monkeypatch):
    installed(monkeypatch, "kdzoo")
    assert distributions.bringing("ray.tune") == "pip install ray"
    assert distributions.bringing("botocore.exceptions") == "pip install boto3"
    installed(monkeypatch, "kdzoo-infer")
    assert distributions.bringing("ray").endswith("pip uninstall -y kdzoo-infer && pip install kdzoo")
    assert distributions.bringing("boto3") == "pip install 'kdzoo-infer[s3]'"
    assert distributions.bringing("cryptography") == "pip install cryptography"


def test_a_zoo_on_s3_says_what_it_lacks(monkeypatch):
    for name in [name for name in sys.modules if name.startswith("zoo_registry.store.s3")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "botocore", None)
    monkeypatch.setitem(sys.modules, "botocore.exceptions", None)
    with pytest.raises(StoreUnavailableError, match="needs 'boto"):
        open_store("s3://bucket/zoo")
