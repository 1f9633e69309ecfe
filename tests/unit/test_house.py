"""The house stands: nothing imports in a circle, nobody inside uses the front door, and the pictures are true."""

import ast
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[2] / "docs"))

from house.building import building
from house.floors import circles, floors, longest_chain, module_graph, packages, room_graph
from house.imports import read_house
from house.pictures import pictures
from house.table import table

ROOT = Path(__file__).parents[2]
IMAGES = ROOT / "docs" / "images"


@pytest.fixture(scope="module")
def house():
    return read_house(ROOT)


@pytest.fixture
def small(tmp_path):
    """Makes a house of files: their text, by path."""

    def make(files):
        for package in ("kdzoo", "zoo_registry"):
            files.setdefault(f"{package}/__init__.py", f'"""{package}: a house of few rooms."""\n')
        for name, text in files.items():
            file = tmp_path / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        return read_house(tmp_path)

    return make


def test_every_file_is_in_the_house(house):
    paths = {path for package in ("kdzoo", "zoo_registry") for path in (ROOT / package).rglob("*.py")}
    assert {module.path for module in house.values()} == paths
    assert all(module.purpose for module in house.values())


def test_no_modules_import_in_a_circle(house):
    assert circles(module_graph(house)) == []


def test_no_rooms_use_each_other(house):
    found = {name: circles(room_graph(house, name)) for name in packages(house)}
    assert {name: groups for name, groups in found.items() if groups} == {}


def test_nobody_comes_in_by_the_front_door_of_a_house_that_they_are_in(house):
    """A package whose ``__init__`` gives names of its modules is for those outside; its modules know each other."""
    doors = {name for name in packages(house) if any(each.used.startswith(f"{name}.") for each in house[name].imports)}
    assert {"kdzoo", "zoo_registry", "kdzoo.metrics"} <= doors
    everything = [each for module in house.values() for each in module.imports]
    inside = [each for each in everything if each.used in doors and each.user.startswith(f"{each.used}.")]
    assert [f"{each.user}, line {each.line}" for each in inside] == []


def test_what_a_front_door_gives_on_use_is_imported_for_types_as_well(house):
    """Otherwise the graph would not know of it: its ``__getattr__`` finds modules by their names as text."""
    trees = {name: ast.parse(house[name].path.read_text()) for name in packages(house)}
    lazy = {name: tree for name, tree in trees.items() if "__getattr__" in ast.unparse(tree)}
    assert {"kdzoo", "zoo_registry", "kdzoo.metrics"} <= set(lazy)
    assert {name: missing for name, tree in lazy.items() if (missing := promised(tree) - bound(tree))} == {}


def promised(tree):
    """What a module's ``__all__`` lists."""
    (names,) = [each.value for each in tree.body if isinstance(each, ast.Assign) and "__all__" in ast.unparse(each)]
    return set(ast.literal_eval(names))


def bound(tree):
    """What a module imports or assigns, wherever it does."""
    imports = [each for each in ast.walk(tree) if isinstance(each, ast.ImportFrom)]
    stored = [each for each in ast.walk(tree) if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store)]
    return {alias.name for each in imports for alias in each.names} | {each.id for each in stored}


@pytest.mark.parametrize(
    "text",
    [
        "from kdzoo.high import b\n",
        "import kdzoo.high\n",
        "from . import high\n",
        "def use():\n    from kdzoo.high import b\n",
        "class Room:\n    def use(self):\n        import kdzoo.high\n",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from kdzoo.high import b\n",
        "try:\n    from .high import b\nexcept ImportError:\n    b = None\n",
    ],
    ids=["at the top", "as a whole", "relative", "in a function", "in a method", "for types", "in a try"],
)
def test_a_circle_is_found_whatever_its_imports_are_like(small, text):
    house = small({"kdzoo/high.py": "from kdzoo import low\n" * 10, "kdzoo/low.py": text + "\n" * 10})
    assert circles(module_graph(house)) == [["kdzoo.high", "kdzoo.low"]]
    assert circles(room_graph(house, "kdzoo")) == [["kdzoo.high", "kdzoo.low"]]
    assert longest_chain(module_graph(house), house) is None
    with pytest.raises(ValueError, match=r"kdzoo\.high.*kdzoo\.low"):
        building(house, "kdzoo", inside=False)
    assert "  in kdzoo: kdzoo.high, kdzoo.low" in table(house)


def test_rooms_may_use_each_other_though_no_modules_do(small):
    house = small(
        {
            "kdzoo/one/__init__.py": "",
            "kdzoo/one/above.py": "from ..two.middle import b\n",
            "kdzoo/one/below.py": "b = 1\n",
            "kdzoo/two/__init__.py": "",
            "kdzoo/two/middle.py": "from kdzoo.one.below import b\n",
        }
    )
    assert circles(module_graph(house)) == []
    assert circles(room_graph(house, "kdzoo")) == [["kdzoo.one", "kdzoo.two"]]
    assert longest_chain(module_graph(house), house) == 3


def test_the_kind_and_place_of_an_import_are_known(small):
    types = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import kdzoo.low\n"
    house = small({"kdzoo/high.py": f"{types}def use():\n    from kdzoo import low\n", "kdzoo/low.py": ""})
    assert [(each.used, each.kind, each.line) for each in house["kdzoo.high"].imports] == [
        ("kdzoo.low", "for types", 3),
        ("kdzoo.low", "on use", 5),
    ]


def test_a_thing_stands_right_below_the_lowest_that_uses_it():
    graph = {"roof": {"hall", "cellar"}, "hall": {"cellar"}, "door": {"tools"}, "tools": set(), "cellar": set()}
    assert floors(graph) == [["door", "roof"], ["hall", "tools"], ["cellar"]]


def test_a_picture_has_each_room_on_its_floor(small):
    house = small(
        {
            "kdzoo/high.py": '"""What is `high`."""\n' + "from kdzoo.low.deep import b\n" * 10,
            "kdzoo/low/__init__.py": '"""What is low."""\n',
            "kdzoo/low/deep.py": "\n" * 120,
        }
    )
    (top,), (ground,) = building(house, "kdzoo", inside=True).floors
    assert (top.label, top.size, top.purpose, top.uses) == ("high.py", "under 100 lines", "What is high.", ("low",))
    assert (ground.label, ground.size, ground.inside) == ("low/", "2 files, 100 lines", (("deep",),))


def test_the_pictures_are_of_this_house(house):
    """Where this fails, ``python docs/draw_house.py`` draws them anew."""
    drawn = pictures(house)
    assert sorted(drawn) == sorted(path.name for path in IMAGES.glob("house*.svg"))
    assert [name for name, text in drawn.items() if (IMAGES / name).read_bytes() != text.encode()] == []
