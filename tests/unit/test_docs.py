"""What the documentation shows works as it stands there."""

import importlib
import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import torch
from helpers.command import run
from helpers.trials import in_new_process, small_trial

from kdzoo.detector import Detector
from kdzoo.methods.registry import METHODS, find_method, method_names
from kdzoo.search.space.space import SpaceFile
from kdzoo.training.outcome import conclude

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "adding-a-method.md"
FILE = re.compile(r"^`(?P<path>[\w./]+)`:\n\n```\w+\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?!https?://|#)(?P<target>[^)#]+)")
HEADING = re.compile(r"^#+ (?P<title>.+)$", re.MULTILINE)
ANCHOR = re.compile(r"\]\(#(?P<anchor>[^)]+)\)")


def test_the_page_is_made_of_whole_files():
    files = {match["path"]: match["text"] for match in FILE.finditer(PAGE.read_text())}
    assert sorted(files) == [
        "kdzoo_matching/__init__.py",
        "kdzoo_matching/config.py",
        "kdzoo_matching/model.py",
        "kdzoo_matching/space.yaml",
        "pyproject.toml",
    ]


@pytest.fixture(scope="module")
def announced():
    """Names that packages installed here announce, kdzoo's own among them."""
    return set(method_names()) - set(METHODS)


@pytest.fixture(scope="module")
def installed(announced, tmp_path_factory):
    """The page's package as an installer leaves it: its files, and beside them what its pyproject.toml announces."""
    folder = tmp_path_factory.mktemp("site")
    for match in FILE.finditer(PAGE.read_text()):
        file = folder / match["path"]
        file.parent.mkdir(exist_ok=True)
        file.write_text(match["text"])
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    info = folder / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    groups = project["entry-points"].items()
    points = [f"[{group}]\n" + "".join(f"{name} = {value}\n" for name, value in each.items()) for group, each in groups]
    (info / "entry_points.txt").write_text("\n".join(points))
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        yield folder
    for name in [name for name in sys.modules if name.partition(".")[0] == "kdzoo_matching"]:
        del sys.modules[name]
    importlib.invalidate_caches()


def test_the_method_is_found_by_its_name(announced, installed, capsys):
    assert "matching" not in METHODS
    assert method_names() == (*METHODS, *sorted({"matching"} | announced))
    assert find_method("matching").config().epochs == 100
    listed = json.loads(run(capsys, "methods", "--json").out)
    assert {row["name"] for row in listed} == {*METHODS, *announced, "matching"}
    assert "merge" in run(capsys, "methods", "matching").out


def test_finding_it_loads_nothing_heavy(installed):
    script = (
        "import json, sys\nsys.path.insert(0, sys.argv[1])\nfrom kdzoo.methods.registry import find_method\n"
        "heavy = [name for name in ('torch', 'timm') if name in sys.modules]\n"
        "print(json.dumps([find_method('matching').title, heavy]))"
    )
    assert in_new_process(script, installed) == ["Student-Teacher Feature Pyramid Matching (BMVC 2021)", []]


def test_its_space_is_valid(installed, capsys):
    space = SpaceFile("matching").space("demo", "weave")
    assert space.start() == {"learning_rate": 0.001, "merge": "product"}
    assert space.assignment({"merge": "sum"}) == {"learning_rate": 0.001, "merge": "sum", "smoothing_sigma": 0.0}
    assert "when merge = sum" in run(capsys, "space", "show", "matching", "--dataset", "demo").out


def test_it_trains_and_its_detector_opens_again(installed, tmp_path):
    trainer = small_trial(tmp_path, "matching", epochs=1)
    before = {key: value.clone() for key, value in trainer.method.learned_state().items()}
    result = trainer.step()
    assert trainer.finished
    assert 0 < result.losses["loss"] < 6
    assert result.report is not None
    assert not all(torch.equal(value, before[key]) for key, value in trainer.method.learned_state().items())
    outcome = conclude(trainer)
    image = trainer.data.parts.report[0].path
    saved = Detector(outcome.method, outcome.document)
    folder = saved.save(tmp_path / "detector")
    assert Detector.open(folder).predict(image).score == saved.predict(image).score


def test_the_suite_of_all_methods_checks_it(installed):
    """As the page says it is run, in a process of its own; a few of its checks, of both kinds of teachers."""
    chosen = "matching and (overfits or maps_have or the_last_detects)"
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "tests/contracts/test_methods.py",
            "-k",
            chosen,
        ],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(installed), str(ROOT)])},
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stdout
    assert "10 passed" in done.stdout


def test_its_map_is_larger_where_student_and_teacher_differ(installed, tmp_path):
    """Of an untrained student: the product of the levels' distances, or their sum, by hand at the smallest size."""
    maps = {}
    for merge in ("product", "sum"):
        method = small_trial(tmp_path, "matching", config={"merge": merge}).method.eval()
        with torch.no_grad():
            maps[merge] = method.anomaly_map(torch.ones(1, 3, 64, 64))
            pairs = list(zip(method.teacher(torch.ones(1, 3, 64, 64)), method.student(torch.ones(1, 3, 64, 64))))
    last = [1 - torch.nn.functional.cosine_similarity(one, other, dim=1)[0, -1, -1] for one, other in pairs]
    assert maps["sum"][0, -1, -1].item() == pytest.approx(sum(last).item(), rel=1e-4)
    assert maps["product"][0, -1, -1].item() == pytest.approx(torch.stack(last).prod().item(), rel=1e-4)


@pytest.mark.parametrize("page", sorted((*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"))), ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    text = page.read_text()
    assert [match["target"] for match in LINK.finditer(text) if not (page.parent / match["target"]).exists()] == []
    titles = {re.sub(r"[^\w\- ]", "", match["title"]).lower().replace(" ", "-") for match in HEADING.finditer(text)}
    assert {match["anchor"] for match in ANCHOR.finditer(text)} <= titles
