"""What the pages name is there: modules, what they define, files, tests, and sections of other pages."""

import importlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted((*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("infra/*.md")))
ALONE = r"(?<![\w./~:-])"
DOTTED = re.compile(ALONE + r"(?:kdzoo|zoo_registry|benchmarks|search_spaces)(?:\.[A-Za-z_]\w*)+")
PATH = re.compile(ALONE + r"(?:kdzoo|zoo_registry|benchmarks|tests|infra|search_spaces|docs|\.ci)/[\w./*-]*[\w/*]")
TEST = re.compile(ALONE + r"test_\w+\.py")
SECTION = re.compile(r"\]\((?!https?://)(?P<page>[\w./-]+\.md)#(?P<anchor>[^)]+)\)")
HEADING = re.compile(r"^#+ (?P<title>.+)$", re.MULTILINE)
ROW = re.compile(r"^\| (?P<change>[^|]+) \| (?P<room>[^|]+) \| (?P<follows>[^|]+) \|$", re.MULTILINE)
ROOM = re.compile(r"\[`(?P<name>[\w./]+)`\]\(\.\./(?P<target>[\w./]+)\)")

EXAMPLE = "matching"
"""The method that `docs/adding-a-method.md` adds; it is no part of kdzoo."""


def is_there(name: str) -> bool:
    """Whether a dotted name is a folder or a module, a page, or something that one of the packages' modules has."""
    return is_place(name) or ROOT / "docs" / name in PAGES or has_attribute(*name.rpartition(".")[::2])


def is_place(name: str) -> bool:
    place = ROOT.joinpath(*name.split("."))
    return place.is_dir() or place.with_suffix(".py").is_file()


def has_attribute(module: str, name: str) -> bool:
    package = module.partition(".")[0] in ("kdzoo", "zoo_registry")
    return package and is_place(module) and hasattr(importlib.import_module(module), name)


def is_a_tag(name: str) -> bool:
    """Whether MLflow's runs bear it: who writes tags says ``kdzoo.NAME``, or ``NAME`` and puts the rest before it."""
    written = re.compile(rf"\b{name.partition('.')[2]}\b")
    writers = [*ROOT.glob("kdzoo/tracking/*.py"), *ROOT.glob("kdzoo/search/run/*.py")]
    return name.count(".") == 1 and any(written.search(file.read_text()) for file in writers)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_a_page_names_is_there(page):
    text = page.read_text()
    names = {name for name in DOTTED.findall(text) if EXAMPLE not in name}
    assert sorted(name for name in names if not is_there(name) and not is_a_tag(name)) == []
    paths = {path for path in PATH.findall(text) if EXAMPLE not in path}
    assert sorted(path for path in paths if not list(ROOT.glob(path))) == []
    assert sorted(name for name in TEST.findall(text) if not list(ROOT.glob(f"tests/**/{name}"))) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_to_sections_lead_to_one(page):
    missing = []
    for match in SECTION.finditer(page.read_text()):
        titles = HEADING.findall((page.parent / match["page"]).read_text())
        if match["anchor"] not in {re.sub(r"[^\w\- ]", "", title).lower().replace(" ", "-") for title in titles}:
            missing.append(match[0])
    assert missing == []


@pytest.mark.parametrize("name", ["kdzoo.nowhere", "kdzoo.zoo.nothing", "kdzoo.nowhere.nothing", "benchmarks.nothing"])
def test_a_name_that_is_gone_is_found(name):
    assert not is_there(name)


@pytest.mark.parametrize("name", ["kdzoo.data", "kdzoo.data.images", "kdzoo.load", "kdzoo.errors.KdzooError"])
def test_a_name_that_is_there_is_found(name):
    assert is_there(name)


def test_every_change_has_one_room():
    text = (ROOT / "docs" / "where-to-change.md").read_text()
    rows = [match for match in ROW.finditer(text) if match["change"] != "to change"]
    assert len(rows) == len(re.findall(r"^\|(?! to change |---)", text, re.MULTILINE))
    assert len(rows) >= 20
    rooms = [ROOM.fullmatch(row["room"]) for row in rows]
    assert [row["room"] for row, room in zip(rows, rooms) if room is None or room["name"] != room["target"]] == []
    targets = [room["target"] for room in rooms]
    assert sorted({target for target in targets if targets.count(target) > 1}) == []
    assert [target for target in targets if target.endswith("/") != (ROOT / target).is_dir()] == []
